// RCPT TO.
#include "smtp/proto/rcpt.h"

#include "base/ascii.h"

namespace relais::smtp {

// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters]     RFC 5321 §4.1.1.3
Result<RcptArgs> parse_rcpt(std::string_view rest, bool smtputf8) {
  if (!istarts_with(rest, "TO:")) return fail(Fault::syntax, "expected RCPT TO:<address>", "5.5.4");
  rest.remove_prefix(3);
  RELAIS_TRY(const auto path, take_path(rest, "5.1.3"));
  RELAIS_TRY(const auto parameter, take_parameter(rest));
  if (parameter) return fail(unknown_parameter());
  if (path.empty()) return fail(Fault::syntax, "recipient missing", "501 5.1.3");
  if (iequals(path, "postmaster")) return RcptArgs{message::Address{"postmaster", {}}};
  auto address = message::parse_mailbox(path, smtputf8);
  if (!address) {
    if (address.error().fault == Fault::refused) return fail(Fault::refused, address.error().text, "553 5.6.7");
    return fail(Fault::syntax, address.error().text, "501 5.1.3");
  }
  return RcptArgs{std::move(*address)};
}

}  // namespace relais::smtp
