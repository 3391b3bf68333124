// The one digest that records depend on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace relais::storage::model {

/// SHA-256, 32 octets (FIPS 180-4).
std::string sha256(std::string_view octets);
/// Its first 64 bits.
std::uint64_t sha256_prefix(std::string_view octets);

/// SHA-256 of octets that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void add(std::string_view octets);
  /// Of all that was added; afterwards it begins anew.
  std::array<unsigned char, 32> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace relais::storage::model
