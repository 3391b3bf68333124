// Puts together what a FETCH brings; see imap_messages.h.
#include "migrate/imap_messages.h"

#include "base/ascii.h"
#include "migrate/imap_listing.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

namespace relais::migrate {
namespace {

constexpr std::uint64_t kReserved = 1 << 20;  // octets that are reserved on a server's word alone

bool is_whole(const imap::FetchedSection& section) { return iequals(section.name, "BODY[]") && !section.origin; }

}  // namespace

void sort_messages(std::vector<SourceMessage>& messages) {
  const auto out_of_order = std::ranges::adjacent_find(messages, std::ranges::greater_equal{}, &SourceMessage::uid);
  if (out_of_order == messages.end()) return;  // as nearly all servers send them
  std::map<Uid, SourceMessage> sorted;
  for (auto& message : messages) {
    const auto uid = message.uid;
    sorted.insert_or_assign(uid, std::move(message));
  }
  messages.clear();
  for (auto& [uid, message] : sorted) messages.push_back(std::move(message));
}

std::vector<NumberSet> in_batches(const NumberSet& set, std::uint32_t count) {
  std::vector<NumberSet> out;
  std::uint64_t room = 0;
  for (auto range : set.ranges()) {
    for (;;) {
      if (room == 0) {
        out.emplace_back();
        room = count;
      }
      const auto size = std::uint64_t{range.last} - range.first + 1;
      const auto taken = std::min(size, room);
      out.back().add(NumberRange{range.first, static_cast<std::uint32_t>(range.first + taken - 1)});
      room -= taken;
      if (taken == size) break;
      range.first += static_cast<std::uint32_t>(taken);
    }
  }
  return out;
}

net::Task<void> MessageList::octets(std::string_view) { co_return Result<void>{}; }

net::Task<void> MessageList::end(imap::FetchResult result) {
  if (result.uid && result.flags) messages_.push_back(message_of(result));
  co_return Result<void>{};
}

std::vector<SourceMessage> MessageList::take_all() {
  sort_messages(messages_);
  return std::move(messages_);
}

Result<void> MessageAssembler::begin(const imap::FetchResult& so_far) {
  const auto& section = so_far.sections.back();
  if (!is_whole(section)) return {};
  keeping_ = section.octets->size <= limit_;
  buffer_.clear();
  if (keeping_) buffer_.reserve(std::min(section.octets->size, kReserved));
  return {};
}

net::Task<void> MessageAssembler::octets(std::string_view piece) {
  if (keeping_) buffer_ += piece;
  co_return Result<void>{};
}

net::Task<void> MessageAssembler::end(imap::FetchResult result) {
  const bool kept = std::exchange(keeping_, false);
  const auto section = std::ranges::find_if(result.sections, is_whole);
  if (section == result.sections.end() || !result.uid || !wanted_.contains(*result.uid) || done_.contains(*result.uid)) {
    co_return Result<void>{};
  }
  const auto uid = *result.uid;
  Result<void> taken{};
  if (!section->octets) {
    taken = co_await receiver_.unreadable(uid, Error{Fault::corrupt, "", "the server has no octets of it (NIL)"});
  } else if (section->octets->literal && (!kept || buffer_.size() != section->octets->size)) {
    taken = co_await receiver_.unreadable(uid, Error{Fault::refused, "TOOBIG", "the message is too large"});
  } else {
    const auto octets = section->octets->literal ? std::string_view(buffer_) : std::string_view(section->octets->inlined);
    taken = co_await receiver_.take(Message{message_of(result), octets});
  }
  if (buffer_.capacity() > kReserved) std::string().swap(buffer_);
  failed_ = !taken;
  if (!taken) co_return fail(std::move(taken).error());
  done_.add(uid);
  co_return Result<void>{};
}

}  // namespace relais::migrate
