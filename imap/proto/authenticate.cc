// AUTHENTICATE's arguments and the lines of a SASL exchange.
#include "imap/proto/authenticate.h"

#include <utility>

#include "base/ascii.h"
#include "base/encode.h"
#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

constexpr std::string_view kExpectBase64 = "expected base64";

}  // namespace

// authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)
// initial-resp = (base64 / "=")                                                RFC 9051 §9, RFC 4959 §7
Result<AuthenticateArgs> parse_authenticate(std::string_view rest) {
  Cursor in(rest);
  AuthenticateArgs args;
  in.sp();
  args.mechanism = to_upper(in.atom());
  if (!in.ok()) return in.error();
  if (in.at_end()) return args;
  in.sp();
  if (!in.ok()) return in.error();
  if (in.rest() == "=") {
    args.initial.emplace();
    return args;
  }
  args.initial = from_base64(in.rest());
  if (in.at_end() || !args.initial) return fail(Fault::syntax, kExpectBase64);
  return args;
}

Result<std::optional<std::string>> parse_sasl_response(std::string_view line) {
  if (line == "*") return std::nullopt;
  auto octets = from_base64(line);
  if (!octets) return fail(Fault::syntax, kExpectBase64);
  return octets;
}

}  // namespace relais::imap
