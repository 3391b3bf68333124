// AUTH and the lines of its exchange.
#include "smtp/proto/auth.h"

#include "base/ascii.h"
#include "base/encode.h"

namespace relais::smtp {
namespace {

constexpr std::size_t kMaxMechanism = 20;  // characters: RFC 4422 §3.1

std::unexpected<Error> bad_base64() { return fail(Fault::syntax, "not base64", "501 5.5.2"); }

}  // namespace

// auth-command = "AUTH" SP sasl-mech [SP initial-response]; initial-response = base64 / "="      RFC 4954 §8
Result<AuthArgs> parse_auth(std::string_view rest) {
  AuthArgs args;
  const auto space = rest.find(' ');
  const auto mechanism = rest.substr(0, space);
  if (mechanism.empty() || mechanism.size() > kMaxMechanism) return fail(Fault::syntax, "expected AUTH mechanism", "5.5.4");
  for (const char c : mechanism) {
    if (!ascii_alpha(c) && !ascii_digit(c) && c != '-' && c != '_') return fail(Fault::syntax, "bad mechanism name", "5.5.4");
  }
  args.mechanism = to_upper(mechanism);
  if (space == std::string_view::npos) return args;
  const auto text = rest.substr(space + 1);
  if (text == "=") {
    args.initial_response.emplace();
    return args;
  }
  args.initial_response = text.empty() ? std::nullopt : from_base64(text);
  if (!args.initial_response) return bad_base64();
  return args;
}

Result<std::optional<std::string>> parse_auth_response(std::string_view line) {
  if (line == "*") return std::optional<std::string>{};
  auto octets = from_base64(line);
  if (!octets) return bad_base64();
  return octets;
}

}  // namespace relais::smtp
