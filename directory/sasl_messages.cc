// Parsing and writing what SASL clients and we send. RFC 4616, RFC 5802, RFC 7677.
#include "directory/sasl_messages.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"

#include <algorithm>
#include <optional>

namespace relais::directory {
namespace {

std::unexpected<Error> bad(std::string_view text) { return fail(Fault::syntax, text); }

/// Takes "x=value" up to the next comma off the front. nullopt where the attribute is another one.
std::optional<std::string_view> take_attribute(std::string_view& rest, char name) noexcept {
  if (rest.size() < 2 || rest[0] != name || rest[1] != '=') return std::nullopt;
  const auto end = std::min(rest.find(','), rest.size());
  const auto value = rest.substr(2, end - 2);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return value;
}

// saslname = 1*(value-safe-char / "=2C" / "=3D")              RFC 5802 §7
std::optional<std::string> parse_saslname(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0') return std::nullopt;
    if (text[i] != '=') {
      out += text[i];
      continue;
    }
    const auto code = text.substr(i, 3);
    if (iequals(code, "=2C")) out += ',';
    else if (iequals(code, "=3D")) out += '=';
    else return std::nullopt;
    i += 2;
  }
  if (out.empty() || !is_utf8(out)) return std::nullopt;
  return out;
}

// printable = %x21-2B / %x2D-7E                               RFC 5802 §7
bool is_nonce(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

/// extensions = attr-val *("," attr-val); what they mean is for whoever knows them, others must ignore them (RFC 5802 §5.1).
bool are_extensions(std::string_view text) noexcept {
  if (text.empty()) return true;
  return std::ranges::all_of(split(text, ','), [](std::string_view piece) { return piece.size() >= 3 && ascii_alpha(piece[0]) && piece[1] == '='; });
}

}  // namespace

Result<PlainMessage> parse_plain(std::string_view message) {
  const auto first = message.find('\0');
  const auto second = first == std::string_view::npos ? first : message.find('\0', first + 1);
  if (second == std::string_view::npos) return bad("malformed PLAIN message");
  const auto authzid = message.substr(0, first);
  const auto authcid = message.substr(first + 1, second - first - 1);
  const auto password = message.substr(second + 1);
  if (authcid.empty() || password.empty() || password.contains('\0')) return bad("malformed PLAIN message");
  if (!is_utf8(authzid) || !is_utf8(authcid)) return bad("user name is not UTF-8");
  return PlainMessage{std::string(authzid), std::string(authcid), std::string(password)};
}

Result<ScramClientFirst> parse_client_first(std::string_view message) {
  // gs2-header = gs2-cbind-flag "," [ authzid ] ","           RFC 5802 §7
  ScramClientFirst out;
  auto rest = message;
  if (rest.starts_with("p=")) return fail(Fault::refused, "channel binding is not offered", "AUTHENTICATIONFAILED");
  // "n": the client has no channel binding; "y": it has, and believes rightly that we have not.
  if (!rest.starts_with("n,") && !rest.starts_with("y,")) return bad("malformed SCRAM message: gs2-cbind-flag");
  rest.remove_prefix(2);
  if (rest.starts_with("a=")) {
    const auto value = take_attribute(rest, 'a');
    auto name = parse_saslname(*value);
    if (!name) return bad("malformed SCRAM message: authzid");
    out.authzid = std::move(*name);
  } else if (rest.starts_with(",")) {
    rest.remove_prefix(1);
  } else {
    return bad("malformed SCRAM message: gs2-header");
  }
  out.gs2_header = message.substr(0, message.size() - rest.size());
  if (!out.gs2_header.ends_with(',')) return bad("malformed SCRAM message: gs2-header");
  out.bare = rest;
  // client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
  if (rest.starts_with("m=")) return fail(Fault::refused, "unsupported SCRAM extension", "AUTHENTICATIONFAILED");
  const auto user = take_attribute(rest, 'n');
  auto name = user ? parse_saslname(*user) : std::nullopt;
  if (!name) return bad("malformed SCRAM message: username");
  out.user = std::move(*name);
  const auto nonce = take_attribute(rest, 'r');
  if (!nonce || !is_nonce(*nonce)) return bad("malformed SCRAM message: nonce");
  out.nonce = *nonce;
  if (!are_extensions(rest)) return bad("malformed SCRAM message: extensions");
  return out;
}

Result<ScramClientFinal> parse_client_final(std::string_view message) {
  // client-final-message = channel-binding "," nonce ["," extensions] "," proof
  ScramClientFinal out;
  const auto at = message.rfind(",p=");
  if (at == std::string_view::npos) return bad("malformed SCRAM message: proof");
  auto proof = from_base64(message.substr(at + 3));
  if (!proof) return bad("malformed SCRAM message: proof");
  out.proof = std::move(*proof);
  auto rest = message.substr(0, at);
  out.without_proof = rest;
  const auto binding = take_attribute(rest, 'c');
  auto decoded = binding ? from_base64(*binding) : std::nullopt;
  if (!decoded) return bad("malformed SCRAM message: channel-binding");
  out.binding = std::move(*decoded);
  const auto nonce = take_attribute(rest, 'r');
  if (!nonce || !is_nonce(*nonce)) return bad("malformed SCRAM message: nonce");
  out.nonce = *nonce;
  if (!are_extensions(rest)) return bad("malformed SCRAM message: extensions");
  return out;
}

std::string scram_server_first(std::string_view nonce, std::string_view salt, std::uint32_t iterations) {
  std::string out("r=");
  out.append(nonce).append(",s=").append(to_base64(salt)).append(",i=");
  append_number(out, iterations);
  return out;
}

bool scram_proof_fits(const ScramKeys& keys, std::string_view auth_message, std::string_view proof) {
  // ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage), and H(ClientKey) must be StoredKey.
  auto client_key = hmac(Digest::sha256, keys.stored_key, auth_message);
  const Wiper wiper(client_key);
  if (proof.size() != client_key.size()) return false;
  for (std::size_t i = 0; i < proof.size(); ++i) client_key[i] = static_cast<char>(client_key[i] ^ proof[i]);
  return equal_octets(digest(Digest::sha256, client_key), keys.stored_key);
}

std::string scram_server_final(const ScramKeys& keys, std::string_view auth_message) {
  return "v=" + to_base64(hmac(Digest::sha256, keys.server_key, auth_message));
}

}  // namespace relais::directory
