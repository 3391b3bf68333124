// The messages of the SASL mechanisms, as pure functions over octets.
#pragma once

#include "base/result.h"
#include "directory/directory.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

/// RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
struct PlainMessage {
  std::string authzid;
  std::string authcid;
  std::string password;
};
/// Fault::syntax where a NUL is missing or too many, the user or the password empty, or the text no UTF-8 (the password may be any octets:
/// older clients send Latin-1, and older platforms hashed it).
Result<PlainMessage> parse_plain(std::string_view message);

/// RFC 5802 §7: client-first-message.
struct ScramClientFirst {
  std::string gs2_header;   ///< as sent, with both commas: what "c=" must repeat
  std::string bare;         ///< client-first-message-bare
  std::string authzid;      ///< decoded; empty where there is none
  std::string user;         ///< decoded from saslname
  std::string nonce;
};
/// Fault::syntax for a broken message; Fault::refused for channel binding ("p=…": not offered) and mandatory extensions ("m=…").
Result<ScramClientFirst> parse_client_first(std::string_view message);

/// RFC 5802 §7: client-final-message.
struct ScramClientFinal {
  std::string without_proof;  ///< client-final-message-without-proof
  std::string binding;        ///< of "c=", decoded
  std::string nonce;
  std::string proof;          ///< decoded
};
Result<ScramClientFinal> parse_client_final(std::string_view message);

/// server-first-message.
std::string scram_server_first(std::string_view nonce, std::string_view salt, std::uint32_t iterations);
/// The client's proof against the keys, in constant time; false where it does not fit. RFC 5802 §3
/// @param auth_message  client-first-message-bare "," server-first-message "," client-final-message-without-proof
bool scram_proof_fits(const ScramKeys& keys, std::string_view auth_message, std::string_view proof);
/// server-final-message with the server's signature.
std::string scram_server_final(const ScramKeys& keys, std::string_view auth_message);

}  // namespace relais::directory
