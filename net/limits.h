// How many connections there are, in all and from each address.
#pragma once

#include "net/address.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace relais::net {

/// Counts connections in all and per AddressKey against two limits. Memory: one entry per address that is connected now.
/// Threads: any.
class ConnectionCounts {
 public:
  enum class Answer : std::uint8_t { admitted, too_many, too_many_from_address };

  ConnectionCounts(std::uint32_t max_total, std::uint32_t max_per_address) : max_total_(max_total), max_per_address_(max_per_address) {}
  /// Counts one more where both limits allow it; then leave() must follow.
  /// @param limited  false: the limit per address does not apply
  Answer enter(AddressKey key, bool limited = true);
  void leave(AddressKey key);
  std::size_t total() const;

 private:
  struct Hash {
    std::size_t operator()(AddressKey key) const noexcept;
  };
  const std::uint32_t max_total_;
  const std::uint32_t max_per_address_;
  mutable std::mutex mutex_;
  std::unordered_map<AddressKey, std::uint32_t, Hash> counts_;  // guarded by mutex_, as is total_
  std::size_t total_ = 0;
};

}  // namespace relais::net
