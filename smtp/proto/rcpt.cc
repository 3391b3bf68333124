// RCPT TO.
#include "smtp/proto/rcpt.h"

#include "base/ascii.h"

namespace relais::smtp {
namespace {

// RFC 3461 §4.5: each at most once.
Result<void> apply(RcptArgs& args, const Parameter& parameter) {
  const auto bad = [&] { return fail(bad_parameter(parameter.keyword)); };
  if (iequals(parameter.keyword, "NOTIFY")) {
    const auto notify = parameter.value ? parse_notify(*parameter.value) : std::nullopt;
    if (args.notify.given() || !notify) return bad();
    args.notify = *notify;
  } else if (iequals(parameter.keyword, "ORCPT")) {
    auto original = parameter.value ? parse_original_recipient(*parameter.value) : std::nullopt;
    if (!args.original.empty() || !original) return bad();
    args.original = std::move(*original);
  } else {
    return fail(unknown_parameter());
  }
  return {};
}

}  // namespace

// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters]     RFC 5321 §4.1.1.3
Result<RcptArgs> parse_rcpt(std::string_view rest, bool smtputf8, bool dsn) {
  if (!istarts_with(rest, "TO:")) return fail(Fault::syntax, "expected RCPT TO:<address>", "5.5.4");
  rest.remove_prefix(3);
  RELAIS_TRY(const auto path, take_path(rest, "5.1.3"));
  RcptArgs args;
  for (;;) {
    RELAIS_TRY(const auto parameter, take_parameter(rest));
    if (!parameter) break;
    if (!dsn) return fail(unknown_parameter());
    RELAIS_TRY_VOID(apply(args, *parameter));
  }
  if (path.empty()) return fail(Fault::syntax, "recipient missing", "501 5.1.3");
  if (iequals(path, "postmaster")) {
    args.forward_path.local_part = "postmaster";
    return args;
  }
  auto address = message::parse_mailbox(path, smtputf8);
  if (!address) {
    if (address.error().fault == Fault::refused) return fail(Fault::refused, address.error().text, "553 5.6.7");
    return fail(Fault::syntax, address.error().text, "501 5.1.3");
  }
  args.forward_path = std::move(*address);
  return args;
}

}  // namespace relais::smtp
