// Mends the header of submitted mail and finds its authors.
#include "message/submission.h"

#include "base/ascii.h"
#include "message/address.h"
#include "message/date.h"
#include "message/header.h"
#include "message/lexer.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxAuthors = 1'000;  // of one field; more make it unclear

struct Authors {
  std::vector<std::string> addresses;
  bool clear = true;
};

/// How many "@" stand where an address is, for one reader or another: outside quoted strings, comments and domain literals. Obsolete source
/// routes count too: what follows from them differs between readers.
std::size_t count_at_signs(std::string_view value) {
  std::size_t found = 0;
  std::string ignored;
  for (Lexer in(value); !in.at_end();) {
    switch (in.peek()) {
      case '"': in.read_quoted(ignored); continue;
      case '(': in.skip_cfws(&ignored); continue;
      case '@': ++found; break;
      default: break;
    }
    in.skip();
  }
  return found;
}

/// Quotes, parentheses and angles that have no end, and control characters, are read in as many ways as there are readers.
bool is_balanced(std::string_view value) {
  int depth = 0;
  bool quoted = false;
  bool angle = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (is_control(c) && c != '\t' && c != '\r' && c != '\n') return false;
    if (c == '\\')
      ++i;
    else if (depth == 0 && c == '"')
      quoted = !quoted;
    else if (!quoted && c == '(')
      ++depth;
    else if (!quoted && c == ')' && --depth < 0)
      return false;
    else if (!quoted && depth == 0 && (c == '<' || c == '>')) {
      if (angle == (c == '<')) return false;
      angle = !angle;
    }
  }
  return depth == 0 && !quoted && !angle;
}

/// Old programs write addresses into names without quotes: "a@b <a@b>". A reader may be shown those, so they count.
void add_from_names(const std::vector<ListedAddress>& list, std::vector<std::string>& addresses) {
  for (const auto& listed : list) {
    for (const auto word : split(listed.name, ' ')) {
      if (const auto address = parse_mailbox(word, true)) addresses.push_back(to_string(*address));
    }
  }
}

Authors read_authors(std::string_view value) {
  Authors out;
  const auto list = parse_address_list(value, kMaxAuthors);
  out.clear = list.size() < kMaxAuthors && is_balanced(value);
  for (const auto& listed : list) {
    if (listed.kind != ListedAddress::Kind::mailbox) continue;
    const auto address = parse_mailbox(to_string(Address{listed.mailbox, listed.host}), true);
    if (!address) out.clear = false;
    out.addresses.push_back(address ? to_string(*address) : listed.mailbox + "@" + listed.host);
  }
  const auto at_signs = count_at_signs(value);
  if (out.addresses.size() < at_signs) add_from_names(list, out.addresses);
  if (out.addresses.size() != at_signs) out.clear = false;
  return out;
}

void append(std::vector<std::string>& to, std::vector<std::string> more) {
  for (auto& one : more) to.push_back(std::move(one));
}

bool is_empty(std::string_view value) { return trim(unfold(value)).empty(); }

}  // namespace

Submission mend_submission(std::string_view message, const SubmissionContext& context) {
  Submission out;
  out.body_begin = header_end(message);
  const auto header = message.substr(0, out.body_begin);
  bool has_date = false;
  bool clear = true;
  std::string kept;
  kept.reserve(header.size());
  Field field;
  for (std::size_t pos = 0; next_field(header, pos, field);) {
    const auto is = [&](std::string_view name) { return iequals(field.name, name); };
    if (is("Bcc") || is("Resent-Bcc")) {  // RFC 5322 §3.6.3: the blind copies of the one are none of the others' business
      ++out.removed_bcc;
      continue;
    }
    if (is("Date")) {
      if (is_empty(field.value)) continue;
      has_date = true;
    } else if (is("Message-ID")) {
      if (is_empty(field.value)) continue;
      if (out.message_id.empty()) out.message_id = trim(unfold(field.value));
    } else if (is("From")) {
      ++out.from_fields;
      auto authors = read_authors(field.value);
      clear = clear && authors.clear;
      append(out.from, std::move(authors.addresses));
    } else if (is("Sender")) {
      auto authors = read_authors(field.value);
      out.sender_clear = out.sender_clear && authors.clear;
      append(out.sender, std::move(authors.addresses));
    }
    kept += field.raw;
    if (!field.raw.ends_with('\n')) kept += "\r\n";  // a header that ends with the message
  }
  out.from_clear = clear && out.from_fields == 1 && !out.from.empty();
  if (out.message_id.empty()) {
    out.message_id.append("<").append(context.id).append("@").append(context.hostname).append(">");
    out.header.append("Message-ID: ").append(out.message_id).append("\r\n");
    out.added_message_id = true;
  }
  if (!has_date) {
    out.header.append("Date: ").append(format_date({context.now, context.zone_minutes})).append("\r\n");
    out.added_date = true;
  }
  out.header += kept;
  out.header += "\r\n";
  return out;
}

}  // namespace relais::message
