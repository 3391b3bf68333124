// Makes what storage keeps of a message.
#include "message/summary.h"

#include "base/ascii.h"
#include "base/check.h"
#include "message/body_structure.h"
#include "message/date.h"
#include "message/envelope.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxMessageId = 998;  // octets; RFC 5322 §2.1.1 limits a line

// Appends the fields of `header` that are kept. False where they outgrow the limit.
bool append_cached_fields(std::string& out, std::string_view header) {
  bool fits = true;
  for_each_field(header, [&](const Field& field) {
    if (!is_cached_field(field.name)) return true;
    fits = out.size() + field.raw.size() + 2 <= kMaxCachedHeader;
    if (!fits) return false;
    out.append(field.raw);
    if (field.raw.back() != '\n') out.append("\r\n");
    return true;
  });
  return fits;
}

void drop_header_fields(Summary& summary) {
  summary.header_fields.clear();
  summary.header_fields.shrink_to_fit();
  summary.header_fields_complete = false;
}

// msg-id = "<" … ">" (RFC 5322 §3.6.4); what stands around it is ignored.
std::string first_message_id(std::string_view value) {
  const auto begin = value.find('<');
  if (begin == std::string_view::npos) return {};
  const auto end = value.find('>', begin);
  if (end == std::string_view::npos || end - begin >= kMaxMessageId) return {};
  return unfold(value.substr(begin, end - begin + 1));
}

}  // namespace

std::int64_t Summary::sent_day() const noexcept { return sent_date == 0 ? 0 : written_day({sent_date, sent_zone}); }

Summary summarize(std::string_view message) {
  const auto structure = parse_structure(message);
  const auto header = message.substr(0, structure.parts.front().body_begin);
  Summary out;
  WireBudget budget(kMaxWireText);
  append_envelope(out.envelope, header, budget);
  append_body_structure(out.body, out.body_structure, structure, message, budget);
  out.parts = encode_parts(structure);
  if (!append_cached_fields(out.header_fields, header)) drop_header_fields(out);

  // The last field of a name counts, as in the envelope.
  for_each_field(header, [&](const Field& field) {
    if (iequals(field.name, "date")) {
      const auto date = parse_date(field.value).value_or(DateTime{});
      out.sent_date = date.seconds;
      out.sent_zone = date.zone_minutes;
    } else if (iequals(field.name, "message-id")) {
      out.message_id = first_message_id(field.value);
    }
  });
  return out;
}

void shift(Summary& summary, std::string_view trace_header) {
  auto parts = shift_parts(summary.parts, trace_header.size());
  RELAIS_CHECK(parts.has_value());  // it comes from encode_parts()
  summary.parts = *std::move(parts);
  // Sizes and line counts in BODYSTRUCTURE are those of bodies: a longer header changes none of them.
  if (!summary.header_fields_complete) return;
  std::string fields;
  if (append_cached_fields(fields, trace_header) && fields.size() + summary.header_fields.size() <= kMaxCachedHeader) {
    summary.header_fields.insert(0, fields);
  } else {
    drop_header_fields(summary);
  }
}

}  // namespace relais::message
