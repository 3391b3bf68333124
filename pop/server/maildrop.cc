// Reading the inbox at login, and what DELE, RSET and QUIT make of it.
#include "pop/server/maildrop.h"

namespace relais::pop {

net::Task<Maildrop> Maildrop::open(storage::Store& store, storage::AccountRef account) {
  Maildrop drop;
  RELAIS_CO_TRY(auto view, co_await store.open(account, "INBOX", false));
  drop.account_ = account;
  drop.mailbox_ = view.info.id;
  drop.uid_validity_ = view.info.uid_validity;
  drop.uidl_until_ = view.info.uidl_until;
  drop.uids_ = std::move(view.uids);
  drop.messages_.reserve(drop.uids_.count());
  storage::FetchBatch batch;
  storage::FetchRequest request;
  request.uids = &drop.uids_;
  request.fields = storage::kFetchFlags;
  while (request.first != 0 && !drop.uids_.empty()) {
    RELAIS_CO_TRY_VOID(co_await store.fetch(account, drop.mailbox_, request, batch));
    for (const auto& message : batch.messages) {
      drop.messages_.push_back({.uid = message.uid, .size = message.size, .seen = (message.flags & storage::kSeen) != 0});
      drop.octets_ += message.size;
    }
    request.first = batch.next;
  }
  drop.count_ = static_cast<std::uint32_t>(drop.messages_.size());
  co_return drop;
}

NumberSet Maildrop::maybe_with_uidl() const {
  if (uidl_until_ == 0) return {};
  return uids_.intersect(NumberSet(NumberRange{1, uidl_until_}));
}

Maildrop::Message* Maildrop::find(std::uint32_t number) noexcept {
  if (number == 0 || number > messages_.size()) return nullptr;
  auto& message = messages_[number - 1];
  return message.deleted ? nullptr : &message;
}

void Maildrop::mark_deleted(Message& message) noexcept {
  message.deleted = true;
  --count_;
  octets_ -= message.size;
}

void Maildrop::undelete_all() noexcept {
  for (auto& message : messages_) {
    if (!message.deleted) continue;
    message.deleted = false;
    ++count_;
    octets_ += message.size;
  }
}

NumberSet Maildrop::deleted() const {
  NumberSet uids;
  for (const auto& message : messages_) {
    if (message.deleted) uids.add(message.uid);
  }
  return uids;
}

NumberSet Maildrop::newly_seen() const {
  NumberSet uids;
  for (const auto& message : messages_) {
    if (message.retrieved && !message.seen && !message.deleted) uids.add(message.uid);
  }
  return uids;
}

}  // namespace relais::pop
