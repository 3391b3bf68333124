// A key that signs for a domain.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

/// One selector of one domain. A domain may have several: two algorithms side by side, and the one that is being replaced.
struct DkimKey {
  enum class Algorithm : std::uint8_t {
    rsa_sha256 = 1,      ///< RFC 6376, RFC 8301: 2,048 bits
    ed25519_sha256 = 2,  ///< RFC 8463
  };
  enum class State : std::uint8_t {
    pending = 0,  ///< made, does not sign: its record is not in the DNS yet
    active = 1,   ///< signs
    retired = 2,  ///< signs no more; its record stays in the DNS while mail that it signed is under way
  };
  std::string domain;         ///< lower-case A-labels
  std::string selector;       ///< lower case
  Algorithm algorithm = Algorithm::rsa_sha256;
  State state = State::active;
  std::string private_key;    ///< PEM, PKCS #8
  std::int64_t created = 0;   ///< seconds since epoch
  std::int64_t changed = 0;   ///< when `state` was set last
  friend bool operator==(const DkimKey&, const DkimKey&) = default;
};

/// "rsa-sha256", "ed25519-sha256", as in a= (RFC 6376 §3.3, RFC 8463 §3).
std::string_view to_string(DkimKey::Algorithm algorithm) noexcept;
/// "pending", "active", "retired".
std::string_view to_string(DkimKey::State state) noexcept;

}  // namespace relais::directory
