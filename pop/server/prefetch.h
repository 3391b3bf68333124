// Message contents for RETR and TOP: read ahead while a client goes through them in order.
#pragma once

#include "pop/server/maildrop.h"
#include "storage/store.h"

#include <atomic>
#include <cstdint>
#include <string_view>

namespace relais::pop {

/// Holds one batch of contents. A client that retrieves message after message pays for one storage call in about fifty.
/// Memory: at most `octets` and one message's content beyond; what all sessions hold is counted in `held`, and above `total` none reads ahead.
/// Threads: one (`held` is shared).
class Prefetch {
 public:
  Prefetch(storage::Store& store, std::atomic<std::size_t>& held, std::size_t octets, std::size_t total) noexcept
      : store_(store), held_(held), octets_(octets), total_(total) {}
  ~Prefetch() { drop(); }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// A message's view, its content where has_content; else it is too large for memory and must be read in pieces.
  /// Valid until the next call. Fault::refused where the message is gone.
  net::Task<const storage::MessageView*> content(const Maildrop& drop, storage::Uid uid);
  /// Gives the memory back.
  void drop() noexcept;

 private:
  storage::Store& store_;
  std::atomic<std::size_t>& held_;
  const std::size_t octets_;
  const std::size_t total_;
  storage::FetchBatch batch_;
  std::size_t at_ = 0;          ///< in batch_.messages
  std::size_t counted_ = 0;     ///< octets of ours in held_
  storage::Uid expected_ = 0;   ///< what a client that goes on in order asks for next
};

}  // namespace relais::pop
