// Reports, rewritten senders and mended submissions, made of anything.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "message/address.h"
#include "message/delivery_status.h"
#include "message/header.h"
#include "message/mime.h"
#include "message/srs.h"
#include "message/submission.h"

using namespace relais;
using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

/// Lines end in CRLF, have at most 998 octets and no NUL.
void check_lines(std::string_view text) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') check(i + 1 < text.size() && text[i + 1] == '\n');
    if (text[i] == '\n') check(i > 0 && text[i - 1] == '\r');
    line = text[i] == '\n' || text[i] == '\r' ? 0 : line + 1;
    check(line <= 998 && text[i] != '\0');
  }
}

void check_report(std::string_view text) {
  const auto piece = [&](std::size_t i) {
    return std::string(text.substr(std::min(text.size(), text.size() / 4 * i), text.size() / 4 + 1));
  };
  Report report;
  report.hostname = "mx.test";
  report.report_id = piece(1);
  report.id = piece(2);
  report.sender = piece(3);
  report.envelope_id = piece(0);
  report.hold_request = piece(1);
  report.smtputf8 = text.size() % 2 == 0;
  report.return_full = text.size() % 3 == 0;
  for (std::size_t i = 0; i < 5; ++i) {
    report.recipients.push_back({.recipient = piece(i),
                                 .original_type = piece(i + 1),
                                 .original = piece(i + 2),
                                 .action = static_cast<DeliveryAction>(i),
                                 .status = i == 1 ? piece(1) : "",
                                 .host = piece(3 - i % 4),
                                 .reply = piece(i % 3),
                                 .reason = piece(i % 2)});
  }
  const auto built = build_report(report, text);
  check_lines(built.message);
  check(built.eight_bit == !is_ascii(built.message));
  const auto structure = parse_structure(built.message);
  const auto& whole = structure.parts.front();
  check(whole.is_multipart && whole.type == "multipart" && whole.subtype == "report");
  std::size_t parts = 0;
  for (std::uint32_t i = 1; i < whole.end; i = structure.parts[i].end) ++parts;
  check(parts == 3);
}

void check_srs(std::string_view text) {
  const Srs srs({.domain = "fwd.test", .secrets = {"secret"}});
  static_cast<void>(srs.reverse(text, 1'767'225'600));
  const auto forward = srs.forward(text, 1'767'225'600);
  if (!forward || forward->empty()) return;
  const auto sender = parse_mailbox(text, true);
  check(sender.has_value() && srs.is_ours(*forward));
  if (sender->domain == "fwd.test") return;
  const auto back = srs.reverse(*forward, 1'767'225'600);
  check(back.has_value());
  const bool srs1 = istarts_with(sender->local_part, "SRS1");
  check(srs1 || *back == to_string(*sender) || istarts_with(sender->local_part, "SRS0"));
}

void check_submission(std::string_view text) {
  const SubmissionContext context{"mx.test", "id", 1'767'225'600, 0};
  const auto first = mend_submission(text, context);
  const auto mended = first.header + std::string(text.substr(first.body_begin));
  for_each_field(first.header, [](const Field& field) { check(!iequals(field.name, "Bcc") && !iequals(field.name, "Resent-Bcc")); });
  const auto second = mend_submission(mended, context);
  check(!second.changed() && second.header == first.header && second.message_id == first.message_id && second.from == first.from);
  if (first.from_clear) {
    check(first.from_fields == 1 && !first.from.empty());
    for (const auto& author : first.from) check(parse_mailbox(author, true).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_report(text);
  check_srs(text);
  check_submission(text);
  static_cast<void>(enhanced_status(text));
  check(!explain_status(text, DeliveryAction::failed).happened.empty());
  return 0;
}
