// The client's side of SCRAM-SHA-256.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::smtp {

/// One exchange: first(), take_first(), last(), verify(), in this order. Pure but for the digests. RFC 5802, RFC 7677.
class ScramClient {
 public:
  /// Fewer make a stolen exchange easy to guess from (RFC 7677 §4); more are an attack on us.
  static constexpr std::uint32_t kMinIterations = 4'096;
  static constexpr std::uint32_t kMaxIterations = 5'000'000;

  /// @param nonce printable US-ASCII without comma, random
  ScramClient(std::string_view user, std::string nonce);
  /// client-first-message
  std::string first() const { return "n,," + bare_; }
  /// Fault::refused where the message is malformed, the nonce is not a continuation of ours, or iterations are out of bounds.
  Result<void> take_first(std::string_view server_first);
  const std::string& salt() const noexcept { return salt_; }
  std::uint32_t iterations() const noexcept { return iterations_; }
  /// client-final-message. @param salted_password Hi(Normalize(password), salt(), iterations()): slow, so the caller's
  std::string last(std::string_view salted_password);
  /// True where the server-final-message proves that the server knows the password too.
  bool verify(std::string_view server_final) const;

 private:
  std::string bare_;   ///< client-first-message-bare
  std::string nonce_;  ///< ours, then with the server's
  std::string server_first_;
  std::string salt_;
  std::uint32_t iterations_ = 0;
  std::string server_signature_;
};

}  // namespace relais::smtp
