// Messages of SCRAM-SHA-256 from the client's side.
#include "smtp/client/scram_client.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"

namespace relais::smtp {
namespace {

using directory::Digest;

std::unexpected<Error> bad(std::string_view text) { return fail(Fault::refused, text); }

// saslname: "=" and "," are escaped                          RFC 5802 §5.1
std::string saslname(std::string_view user) {
  std::string out;
  for (const char c : user) {
    if (c == '=')
      out += "=3D";
    else if (c == ',')
      out += "=2C";
    else
      out += c;
  }
  return out;
}

}  // namespace

ScramClient::ScramClient(std::string_view user, std::string nonce)
    : bare_("n=" + saslname(user) + ",r=" + nonce), nonce_(std::move(nonce)) {}

// server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]       RFC 5802 §7
Result<void> ScramClient::take_first(std::string_view server_first) {
  const auto pieces = split(server_first, ',');
  if (pieces.size() < 3 || !pieces[0].starts_with("r=") || !pieces[1].starts_with("s=") || !pieces[2].starts_with("i="))
    return bad("malformed SCRAM message");
  const auto nonce = pieces[0].substr(2);
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size()) return bad("the server's SCRAM nonce does not continue ours");
  auto salt = from_base64(pieces[1].substr(2));
  const auto iterations = parse_u64(pieces[2].substr(2));
  if (!salt || salt->empty() || !iterations) return bad("malformed SCRAM message");
  if (*iterations < kMinIterations || *iterations > kMaxIterations) return bad("the server's SCRAM iteration count is out of bounds");
  nonce_ = nonce;
  server_first_ = server_first;
  salt_ = std::move(*salt);
  iterations_ = static_cast<std::uint32_t>(*iterations);
  return {};
}

// RFC 5802 §3
std::string ScramClient::last(std::string_view salted_password) {
  const auto without_proof = "c=biws,r=" + nonce_;  // "n,," in base64: no channel binding
  const auto auth_message = bare_ + "," + server_first_ + "," + without_proof;
  auto proof = directory::hmac(Digest::sha256, salted_password, "Client Key");
  const directory::Wiper wiper(proof);
  const auto signature = directory::hmac(Digest::sha256, directory::digest(Digest::sha256, proof), auth_message);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ signature[i]);
  server_signature_ = directory::hmac(Digest::sha256, directory::hmac(Digest::sha256, salted_password, "Server Key"), auth_message);
  return without_proof + ",p=" + to_base64(proof);
}

// server-final-message = (server-error / verifier) ["," extensions]                                    RFC 5802 §7
bool ScramClient::verify(std::string_view server_final) const {
  if (!server_final.starts_with("v=") || server_signature_.empty()) return false;
  const auto signature = from_base64(server_final.substr(2, server_final.find(',') - 2));
  return signature && directory::equal_octets(*signature, server_signature_);
}

}  // namespace relais::smtp
