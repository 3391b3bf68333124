// MAIL FROM and its parameters.
#include "smtp/proto/mail.h"

#include "base/ascii.h"

namespace relais::smtp {
namespace {

// size-value = 1*20DIGIT                                     RFC 1870 §4
std::optional<std::uint64_t> parse_size(std::string_view value) { return value.size() > 20 ? std::nullopt : parse_u64(value); }

std::optional<Body> parse_body(std::string_view value) {
  if (iequals(value, "7BIT")) return Body::seven_bit;
  if (iequals(value, "8BITMIME")) return Body::eight_bit;
  if (iequals(value, "BINARYMIME")) return Body::binary;
  return std::nullopt;
}

Result<void> apply(MailArgs& args, const Parameter& parameter, MailExtensions extensions, bool& body_seen) {
  if (!extensions.esmtp) return fail(unknown_parameter());
  const auto bad = [&] { return fail(bad_parameter(parameter.keyword)); };
  if (iequals(parameter.keyword, "SIZE")) {
    if (args.size || !parameter.value) return bad();
    args.size = parse_size(*parameter.value);
    if (!args.size) return bad();
  } else if (iequals(parameter.keyword, "BODY")) {
    const auto body = parameter.value ? parse_body(*parameter.value) : std::nullopt;
    if (body_seen || !body) return bad();
    args.body = *body;
    body_seen = true;
  } else if (iequals(parameter.keyword, "SMTPUTF8")) {
    if (args.smtputf8 || parameter.value) return bad();  // it has no value: RFC 6531 §3.1 (4)
    args.smtputf8 = true;
  } else if (iequals(parameter.keyword, "AUTH") && extensions.auth) {
    if (args.auth || !parameter.value) return bad();
    args.auth = decode_xtext(*parameter.value);
    if (!args.auth) return bad();
  } else {
    return fail(unknown_parameter());
  }
  return {};
}

}  // namespace

// mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]      RFC 5321 §4.1.1.2
Result<MailArgs> parse_mail(std::string_view rest, MailExtensions extensions) {
  if (!istarts_with(rest, "FROM:")) return fail(Fault::syntax, "expected MAIL FROM:<address>", "5.5.4");
  rest.remove_prefix(5);
  RELAIS_TRY(const auto path, take_path(rest, "5.1.7"));
  MailArgs args;
  bool body_seen = false;
  for (;;) {
    RELAIS_TRY(const auto parameter, take_parameter(rest));
    if (!parameter) break;
    RELAIS_TRY_VOID(apply(args, *parameter, extensions, body_seen));
  }
  if (path.empty()) return args;
  auto address = message::parse_mailbox(path, args.smtputf8);
  if (!address) {
    if (address.error().fault == Fault::refused) return fail(Fault::refused, address.error().text, "550 5.6.7");
    return fail(Fault::syntax, address.error().text, "501 5.1.7");
  }
  args.reverse_path = std::move(*address);
  return args;
}

}  // namespace relais::smtp
