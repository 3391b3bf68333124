// MAIL FROM and its parameters.
#include "smtp/proto/mail.h"

#include "base/ascii.h"

#include <utility>

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

/// Takes one parameter. False where its value is malformed, or it came before.
using Taker = bool (*)(MailArgs&, std::optional<std::string_view> value);

/// A value parsed into a member that must still be empty.
template <auto Member, auto Parse>
bool take(MailArgs& args, std::optional<std::string_view> value) {
  auto& member = args.*Member;
  if (member || !value) return false;
  member = Parse(*value);
  return member.has_value();
}

template <auto Member>
bool take_flag(MailArgs& args, std::optional<std::string_view> value) {
  return !value && !std::exchange(args.*Member, true);
}

bool take_ret(MailArgs& args, std::optional<std::string_view> value) {
  const auto ret = value ? parse_ret(*value) : std::nullopt;
  if (args.ret != Ret::unset || !ret) return false;
  args.ret = *ret;
  return true;
}

bool take_envelope_id(MailArgs& args, std::optional<std::string_view> value) {
  auto id = value ? parse_envelope_id(*value) : std::nullopt;
  if (!args.envelope_id.empty() || !id) return false;
  args.envelope_id = std::move(*id);
  return true;
}

// BODY has a default, so that it was given is remembered apart.
bool take_body(MailArgs& args, std::optional<std::string_view> value, bool& seen) {
  const auto body = value ? parse_body(*value) : std::nullopt;
  if (std::exchange(seen, true) || !body) return false;
  args.body = *body;
  return true;
}

struct Row {
  std::string_view keyword;
  bool MailExtensions::* offered;
  Taker take;
};

constexpr Row kParameters[] = {
    {"SIZE", &MailExtensions::esmtp, take<&MailArgs::size, parse_size>},
    {"SMTPUTF8", &MailExtensions::esmtp, take_flag<&MailArgs::smtputf8>},  // it has no value: RFC 6531 §3.1 (4)
    {"AUTH", &MailExtensions::auth, take<&MailArgs::auth, decode_xtext>},
    {"RET", &MailExtensions::dsn, take_ret},
    {"ENVID", &MailExtensions::dsn, take_envelope_id},
    {"HOLDFOR", &MailExtensions::future_release, take<&MailArgs::hold, parse_hold_for>},  // one of the two, once: RFC 4865 §4.2 (9)
    {"HOLDUNTIL", &MailExtensions::future_release, take<&MailArgs::hold, parse_hold_until>},
    {"BY", &MailExtensions::deliver_by, take<&MailArgs::deliver_by, parse_deliver_by>},
    {"MT-PRIORITY", &MailExtensions::priority, take<&MailArgs::priority, parse_priority>},
    {"REQUIRETLS", &MailExtensions::require_tls, take_flag<&MailArgs::require_tls>},  // no value: RFC 8689 §2
};

Result<void> apply(MailArgs& args, const Parameter& parameter, MailExtensions extensions, bool& body_seen) {
  if (!extensions.esmtp) return fail(unknown_parameter());
  if (iequals(parameter.keyword, "BODY")) {
    if (!take_body(args, parameter.value, body_seen)) return fail(bad_parameter(parameter.keyword));
    return {};
  }
  for (const auto& row : kParameters) {
    if (!iequals(parameter.keyword, row.keyword) || !(extensions.*row.offered)) continue;
    if (!row.take(args, parameter.value)) return fail(bad_parameter(parameter.keyword));
    return {};
  }
  return fail(unknown_parameter());
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
