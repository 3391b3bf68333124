// From a new message to what is stored of it.
#pragma once

#include "smtp/queue/store.h"

#include <chrono>
#include <cstdint>

namespace relais::smtp::queue {

struct Lifetimes {
  std::chrono::seconds lifetime{5 * 24 * 3600};
  std::chrono::seconds report{5 * 24 * 3600};
  std::chrono::seconds delay_notice{4 * 3600};  ///< 0: never
};

inline constexpr std::size_t kMaxTraceId = 100;      ///< octets
inline constexpr std::size_t kMaxQueueText = 1'024;  ///< octets of an address or another text of the envelope; client and Message-ID are
                                                     ///< cut, more in others is refused

/// Checks the message, groups its recipients into jobs and fixes its times. Pure.
/// @param now seconds since the epoch
/// @return Fault::refused, code "5.5.4", where a field is not as NewMessage asks
Result<Entry> make_entry(const NewMessage& message, MessageId id, std::int64_t now, const Lifetimes& lifetimes);

/// When the message must be looked at next, whatever its destinations do: expiry, delay notice, DELIVERBY; the earliest that is to come.
std::int64_t next_check(const MessageRecord& message) noexcept;

}  // namespace relais::smtp::queue
