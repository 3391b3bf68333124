// The selected mailbox: sequence map, pending changes, flag lists.
#include "imap/server/selected.h"

#include "base/ascii.h"

namespace relais::imap {

void Watch::hear(const storage::ChangeEvent& event) {
  const auto mailbox = mailbox_.load(std::memory_order_acquire);
  if (mailbox != kAny && mailbox != static_cast<std::uint64_t>(event.mailbox)) return;
  auto known = mod_seq_.load(std::memory_order_relaxed);
  while (known < event.mod_seq && !mod_seq_.compare_exchange_weak(known, event.mod_seq, std::memory_order_seq_cst)) {
  }
  if (!armed_.exchange(false, std::memory_order_seq_cst)) return;
  loop_.post([self = shared_from_this()] {
    if (self->connection_ != nullptr) self->connection_->signal();
  });
}

Result<NumberSet> Selected::resolve(const SequenceSet& set, bool uid) const {
  if (set.saved) return saved ? saved->intersect(uids) : NumberSet();  // RFC 5182 §2.1: expunged messages leave "$"
  if (uid) return set.resolve(uids.empty() ? uid_next : uids.back()).intersect(uids);
  RELAIS_TRY(const auto sequences, set.resolve_messages(exists()));
  return uids_of(sequences);
}

NumberSet Selected::resolve_key(const SequenceSet& set, bool uid) const {
  if (set.saved || uid) return resolve(set, true).value_or(NumberSet());
  if (uids.empty()) return {};
  return uids_of(set.resolve(exists()).intersect(NumberSet(NumberRange{1, exists()})));
}

NumberSet Selected::uids_of(const NumberSet& sequences) const {
  NumberSet members;
  const auto ranges = uids.ranges();
  std::size_t at = 0;
  std::uint64_t before = 0;  // messages in ranges before `at`
  for (const auto wanted : sequences.ranges()) {
    std::uint64_t first = wanted.first - std::uint64_t{1};  // positions, from 0
    const std::uint64_t last = wanted.last - std::uint64_t{1};
    while (first <= last && at < ranges.size()) {
      const std::uint64_t size = std::uint64_t{ranges[at].last} - ranges[at].first + 1;
      if (first >= before + size) {
        before += size;
        ++at;
        continue;
      }
      const auto stop = std::min(last, before + size - 1);
      members.add(NumberRange{static_cast<std::uint32_t>(ranges[at].first + (first - before)),
                              static_cast<std::uint32_t>(ranges[at].first + (stop - before))});
      first = stop + 1;
    }
  }
  return members;
}

NumberSet Selected::sequences_of(const NumberSet& members) const {
  NumberSet sequences;
  const auto known = uids.ranges();
  std::size_t at = 0;
  std::uint64_t before = 0;
  for (const auto range : members.ranges()) {
    while (at < known.size() && known[at].last < range.first) before += std::uint64_t{known[at].last} - known[at].first + 1, ++at;
    auto i = at;
    auto count = before;
    while (i < known.size() && known[i].first <= range.last) {
      const auto first = std::max(known[i].first, range.first);
      const auto last = std::min(known[i].last, range.last);
      const auto base = count + 1 - known[i].first;  // wraps, as the sums below unwrap
      sequences.add(NumberRange{static_cast<std::uint32_t>(base + first), static_cast<std::uint32_t>(base + last)});
      if (known[i].last > range.last) break;
      count += std::uint64_t{known[i].last} - known[i].first + 1;
      ++i;
    }
    at = i;
    before = count;
  }
  return sequences;
}

std::uint32_t Selected::recent_count() const {
  std::uint64_t count = 0;
  for (const auto range : recent.ranges()) count += uids.rank(range.last) + (uids.contains(range.last) ? 1 : 0) - uids.rank(range.first);
  return static_cast<std::uint32_t>(count);
}

void Selected::own_change(storage::ModSeq mod_seq) {
  if (mod_seq <= synced) return;
  // One counter for the whole account: nothing can have happened between two neighbours.
  if (mod_seq == synced + 1) {
    synced = mod_seq;
  } else if (own.empty() || own.back() != mod_seq) {
    own.push_back(mod_seq);
  }
}

bool Selected::is_own(storage::ModSeq mod_seq) const noexcept { return std::find(own.begin(), own.end(), mod_seq) != own.end(); }

void Selected::expunged(const NumberSet& members) { gone.add(members.intersect(uids)); }

void FlagsWriter::append(std::string& out, storage::FlagBits flags, bool recent) {
  if (flags != flags_ || recent != recent_) {
    text_ = "(";
    const auto add = [this](std::string_view name) {
      if (text_.size() > 1) text_ += ' ';
      text_ += name;
    };
    for (const auto flag : {kAnswered, kFlagged, kDeleted, kSeen, kDraft}) {
      if (flags & flag) add(name_of(flag));
    }
    if (recent) add("\\Recent");
    for (std::size_t i = 0; i < keywords_.size(); ++i) {
      if (((flags >> (storage::kFirstKeyword + i)) & 1) != 0 && !keywords_[i].empty()) add(keywords_[i]);
    }
    text_ += ')';
    flags_ = flags;
    recent_ = recent;
  }
  out += text_;
}

void append_all_flags(std::string& out, const std::vector<std::string>& keywords) {
  out += "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
  for (const auto& keyword : keywords) {
    if (!keyword.empty()) out.append(1, ' ').append(keyword);
  }
}

bool keywords_free(const std::vector<std::string>& keywords) noexcept {
  if (keywords.size() < storage::kMaxKeywords) return true;
  return std::any_of(keywords.begin(), keywords.end(), [](const std::string& keyword) { return keyword.empty(); });
}

}  // namespace relais::imap
