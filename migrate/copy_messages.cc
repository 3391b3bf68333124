// Reads messages while those before them are committed; see copy_messages.h.
#include "migrate/copy_messages.h"

#include "base/ascii.h"
#include "directory/digest.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace relais::migrate {

std::array<unsigned char, 32> digest_of(std::string_view octets) {
  const auto digest = directory::digest(directory::Digest::sha256, octets);
  std::array<unsigned char, 32> out{};
  std::ranges::transform(digest, out.begin(), [](char c) { return static_cast<unsigned char>(c); });
  return out;
}

std::vector<NumberSet> cut_requests(const NumberSet& uids, std::span<const SourceMessage> about, std::uint32_t messages,
                                    std::uint64_t octets) {
  std::vector<NumberSet> out;
  auto known = about.begin();
  std::uint64_t sum = 0;
  uids.for_each([&](Uid uid) {
    while (known != about.end() && known->uid < uid) ++known;
    const auto size = known != about.end() && known->uid == uid ? known->size.value_or(0) : 0;
    if (out.empty() || out.back().count() >= messages || (sum > 0 && sum + size > octets)) {
      out.emplace_back();
      sum = 0;
    }
    out.back().add(uid);
    sum += size;
  });
  return out;
}

KeywordRoom::KeywordRoom(const TargetMailbox& mailbox, std::size_t limit) : limit_(limit) {
  for (const auto& keyword : mailbox.keywords) known_.emplace(to_lower(keyword), keyword);
}

std::vector<std::string> KeywordRoom::fit(std::vector<std::string>& keywords) {
  constexpr std::size_t kLongest = 255;  // octets, of any keyword here
  std::vector<std::string> dropped;
  std::vector<std::string> kept;
  for (auto& keyword : keywords) {
    const auto lower = to_lower(keyword);
    auto known = known_.find(lower);
    if (known == known_.end() && known_.size() < limit_ && keyword.size() <= kLongest) known = known_.emplace(lower, keyword).first;
    if (known == known_.end()) {
      dropped.push_back(std::move(keyword));
    } else {
      kept.push_back(known->second);
    }
  }
  std::ranges::sort(kept);
  const auto twice = std::ranges::unique(kept);
  kept.erase(twice.begin(), twice.end());
  keywords = std::move(kept);
  return dropped;
}

void fit_flags(MirrorState& state, std::string_view mailbox, KeywordRoom& room, SourceMessage& message) {
  const auto tell = [&](std::string code, Weight weight, const std::vector<std::string>& what, std::string_view text) {
    if (what.empty()) return;
    state.find({std::move(code), weight, std::string(mailbox), 0, std::string(text) + what.front(), {}, {}});
  };
  tell("odd-flags", Weight::amber, message.odd_flags, "flags that are neither system flags nor keywords are not carried: ");
  tell("keywords-dropped", Weight::amber, room.fit(message.keywords), "too many different keywords, or too long ones: left out ");
}

net::Task<void> MessageCopier::copy(Source& source, NumberSet uids, std::span<const SourceMessage> about, bool one_by_one) {
  const auto requests = cut_requests(uids, about, one_by_one ? 1 : state_.rules.batch_messages, state_.rules.batch_octets);
  // Whatever ends the reading, what is being committed works on our members: it is waited for.
  std::exception_ptr thrown;
  Result<void> done{};
  try {
    done = co_await read(source, requests);
  } catch (...) {
    thrown = std::current_exception();  // rethrown below
  }
  auto committed = co_await beside_.join();
  if (thrown) std::rethrow_exception(thrown);
  if (!committed) {
    failed_here_ = true;
    co_return committed;
  }
  co_return done;
}

net::Task<void> MessageCopier::read(Source& source, const std::vector<NumberSet>& requests) {
  for (const auto& request : requests) {
    if (auto allowed = co_await state_.budget(request.count(), 0, ended_); !allowed) {
      failed_here_ = true;
      co_return allowed;
    }
    auto done = co_await source.messages(pair_.source, request, *this);
    if (failed_here_) co_return done;
    auto handed = co_await hand_over();  // what has come before an error is kept
    if (!handed) co_return handed;
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

net::Task<void> MessageCopier::take(Message message) {
  reading_.octets += message.octets.size();
  reading_.messages.push_back({std::move(message.about), std::string(message.octets)});
  if (reading_.messages.size() < state_.rules.batch_messages && reading_.octets < state_.rules.batch_octets) co_return Result<void>{};
  co_return co_await hand_over();
}

net::Task<void> MessageCopier::unreadable(Uid uid, Error why) {
  const auto& reason = why.detail.empty() ? why.text : why.detail;
  state_.find({"unreadable", Weight::red, pair_.target.name, uid, "the source cannot give it: " + reason, {}, {}});
  co_return Result<void>{};
}

// Waits for the batch before: two of them are in memory, no more.
net::Task<void> MessageCopier::hand_over() {
  if (reading_.messages.empty()) co_return Result<void>{};
  auto committed = co_await beside_.join();
  if (!committed) {
    failed_here_ = true;
    co_return committed;
  }
  auto batch = std::exchange(reading_, {});
  const auto uid = [](const Held& held) { return held.about.uid; };
  std::ranges::sort(batch.messages, {}, uid);
  const auto twice = std::ranges::unique(batch.messages, {}, uid);
  batch.messages.erase(twice.begin(), twice.end());
  if (batch.messages.front().about.uid <= handed_over_) {
    failed_here_ = out_of_order_ = true;
    co_return fail(Fault::refused, "the source does not send messages in the order of their UIDs");
  }
  handed_over_ = batch.messages.back().about.uid;
  beside_.start(commit(std::move(batch)));
  co_return Result<void>{};
}

void MessageCopier::check(Held& held) {
  auto& about = held.about;
  const auto& mailbox = pair_.target.name;
  if (about.size && *about.size != held.octets.size()) {
    state_.find({"size-wrong", Weight::note, mailbox, about.uid, "the source tells another RFC822.SIZE than it sends",
                 std::to_string(*about.size), std::to_string(held.octets.size())});
  }
  if (!about.internal_date) {
    state_.find({"no-date", Weight::amber, mailbox, about.uid, "the source tells no INTERNALDATE", {}, {}});
  }
  fit_flags(state_, mailbox, room_, about);
}

net::Task<void> MessageCopier::commit(Batch batch) {
  std::vector<Message> messages;
  messages.reserve(batch.messages.size());
  NumberSet uids;
  for (auto& held : batch.messages) {
    check(held);
    uids.add(held.about.uid);
    messages.push_back({held.about, held.octets});
  }
  RELAIS_CO_TRY_VOID(co_await state_.target.append(pair_.target, std::move(messages)));
  state_.written(pair_.target, uids);
  if (state_.rules.read_back) RELAIS_CO_TRY_VOID(co_await read_back(batch, uids));
  state_.figures.appended += batch.messages.size();
  state_.figures.octets += batch.octets;
  state_.progress();
  co_return co_await state_.budget(0, batch.octets, ended_);
}

// What is not as it was received is taken away: it is below the next UID then, so that the next pass makes the mailbox anew.
net::Task<void> MessageCopier::read_back(const Batch& batch, const NumberSet& uids) {
  RELAIS_CO_TRY(const auto digests, co_await state_.target.digests(pair_.target, uids));
  auto lies = digests.begin();
  NumberSet wrong;
  for (const auto& held : batch.messages) {
    const auto uid = held.about.uid;
    while (lies != digests.end() && lies->uid < uid) ++lies;
    const bool there = lies != digests.end() && lies->uid == uid;
    if (there && lies->size == held.octets.size() && lies->sha256 == digest_of(held.octets)) continue;
    wrong.add(uid);
    state_.find({"digest-differs", Weight::red, pair_.target.name, uid, "what was written is not what was received",
                 std::to_string(held.octets.size()) + " octets", there ? std::to_string(lies->size) + " octets" : "nothing"});
  }
  if (wrong.empty()) co_return Result<void>{};
  RELAIS_CO_TRY_VOID(co_await state_.target.expunge(pair_.target, wrong, 0));
  co_return fail(Fault::corrupt, "what was written is not what was received", "",
                 pair_.target.name + ": " + wrong.to_string().substr(0, 200));
}

}  // namespace relais::migrate
