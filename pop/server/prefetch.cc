// Reading ahead for clients that retrieve everything in order, which nearly all do.
#include "pop/server/prefetch.h"

#include <utility>

namespace relais::pop {

constexpr std::uint32_t kContentLimit = 256 * 1024;  // octets: larger messages are read in pieces, never whole
constexpr std::uint32_t kMaxAhead = 256;             // messages

net::Task<const storage::MessageView*> Prefetch::content(const Maildrop& drop, storage::Uid uid) {
  while (at_ < batch_.messages.size() && batch_.messages[at_].uid < uid) ++at_;
  const bool there = at_ < batch_.messages.size() && batch_.messages[at_].uid == uid;
  if (!there) {
    const bool ahead = uid == expected_ && held_.load(std::memory_order_relaxed) < total_;
    if (!ahead) this->drop();
    storage::FetchRequest request;
    request.uids = &drop.uids();
    request.first = uid;
    request.fields = storage::kFetchContent;
    request.max_messages = ahead ? kMaxAhead : 1;
    request.max_octets = static_cast<std::uint32_t>(octets_);
    request.content_limit = kContentLimit;
    RELAIS_CO_TRY_VOID(co_await store_.fetch(drop.account(), drop.mailbox(), request, batch_));
    const auto holds = batch_.octets.capacity();
    held_.fetch_add(holds - counted_, std::memory_order_relaxed);  // modulo 2^64: may go down
    counted_ = holds;
    at_ = 0;
    if (batch_.messages.empty() || batch_.messages.front().uid != uid) {
      co_return fail(Fault::refused, "the message is gone: another client removed it");
    }
  }
  expected_ = drop.uids().lower_bound(uid + 1).value_or(0);
  co_return &batch_.messages[at_];
}

void Prefetch::drop() noexcept {
  held_.fetch_sub(std::exchange(counted_, 0), std::memory_order_relaxed);
  batch_ = {};
  at_ = 0;
}

}  // namespace relais::pop
