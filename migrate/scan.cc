// Judges and forecasts; see scan.h.
#include "migrate/scan.h"

#include "base/ascii.h"
#include "base/check.h"
#include "storage/model/names.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace relais::migrate {
namespace {

constexpr std::int64_t kDay = 24 * 3600;
// Two changes of the placement, two steps of the journal and a commit of the shard, each durable.
constexpr std::chrono::milliseconds kOurCommits{50};
// A FETCH of what arrived and the counters of what changed, after the listing: SELECT, FETCH, STATUS of two mailboxes.
constexpr int kRoundTrips = 6;

std::string counted(std::uint64_t n, std::string_view one, std::string_view many) {
  return std::to_string(n) + " " + std::string(n == 1 ? one : many);
}

std::string megabytes(std::uint64_t octets) { return std::to_string((octets + (1U << 20U) - 1) >> 20U) + " MB"; }

class Judge {
 public:
  Judge(const AccountInventory& inventory, const ScanRules& rules) : inventory_(inventory), rules_(rules), out_(inventory.findings) {}

  std::vector<Finding> run() {
    names();
    left();
    for (const auto& count : inventory_.counts) mailbox(count);
    uses();
    extras();
    quota();
    deltas();
    if (rules_.pop3)
      add("pop3-uidls", Weight::amber, "", "is used by POP3, and its UIDLs are not carried yet: its client will download everything again");
    std::vector<Finding> sorted;
    for (const auto weight : {Weight::red, Weight::amber, Weight::note}) {
      std::ranges::copy_if(out_, std::back_inserter(sorted), [weight](const Finding& finding) { return finding.weight == weight; });
    }
    return sorted;
  }

 private:
  void add(std::string code, Weight weight, std::string mailbox, std::string text, Uid uid = 0) {
    out_.push_back({.code = std::move(code), .weight = weight, .mailbox = std::move(mailbox), .uid = uid, .text = std::move(text)});
  }

  // The storage keeps names in NFC (RFC 9051 §5.1): two that differ only in how they are composed are one there.
  void names() {
    std::map<std::string, const SourceMailbox*> seen;
    for (const auto& mailbox : inventory_.listing.mailboxes) {
      const auto kept = storage::model::normalize_name(mailbox.name);
      if (!kept) {
        add("not-carried", Weight::red, mailbox.name, kept.error().text);
        continue;
      }
      const auto [other, fresh] = seen.emplace(*kept, &mailbox);
      if (!fresh) {
        add("name-clash", Weight::red, mailbox.name, "has the same name here as " + other->second->wire);
      } else if (mailbox.name_changed) {
        add("name-changed", Weight::amber, mailbox.name, "its name is no UTF-8: clients will see another one");
      } else if (mailbox.recomposed || *kept != mailbox.name) {
        add("name-changed", Weight::amber, mailbox.name,
            "its name is written in another form of Unicode here: clients may take it for another one");
      }
      if (mailbox.selectable && mailbox.state.uid_validity == 0)
        add("no-state", Weight::red, mailbox.name, mailbox.problem.empty() ? "it has no UIDVALIDITY" : mailbox.problem);
    }
  }

  void left() {
    for (const auto& left : inventory_.listing.left) {
      if (left.shared)
        add("shared-mailbox", Weight::amber, left.wire, "is another user's, or shared: it will not be seen after the move");
      else
        add(left.why.starts_with("has the same name") ? "name-clash" : "not-carried", Weight::red, left.wire, left.why);
    }
  }

  void mailbox(const MailboxCount& count) {
    if (count.largest > rules_.unread_octets)
      add("too-large", Weight::red, count.name, "a message of " + megabytes(count.largest) + " cannot be carried", count.largest_uid);
    else if (count.largest >= rules_.large_octets)
      add("large-message", Weight::amber, count.name, "the largest message has " + megabytes(count.largest), count.largest_uid);
    if (count.unsized > 0)
      add("size-unknown", Weight::amber, count.name, "the server tells no size of " + counted(count.unsized, "message", "messages"));
    if (count.undated > 0)
      add("no-date", Weight::amber, count.name, "the server tells no date of " + counted(count.undated, "message", "messages"));
    if (count.odd_flagged > 0)
      add("odd-flags", Weight::amber, count.name,
          counted(count.odd_flagged, "message has", "messages have") + " flags that IMAP does not allow");
    if (count.keywords > storage::kMaxKeywords)
      add("keywords-dropped", Weight::amber, count.name,
          std::to_string(count.keywords) + " different keywords; " + std::to_string(storage::kMaxKeywords) + " are carried");
    if (count.messages > rules_.exact_session)
      add("big-mailbox", Weight::note, count.name, "sessions that have it open are ended at the move, and connect again");
  }

  void uses() {
    std::map<unsigned, std::string> seen;
    for (const auto& mailbox : inventory_.listing.mailboxes) {
      for (unsigned bits = mailbox.special_use; bits != 0; bits &= bits - 1) {
        const auto [first, fresh] = seen.emplace(bits & ~(bits - 1), mailbox.name);
        if (!fresh) add("special-use-twice", Weight::amber, mailbox.name, "has the same special use as " + first->second);
      }
    }
  }

  // RFC 4314 §2: identifiers with "-" in front take rights away; "owner" and "administrators" are Courier's words.
  bool is_of_others(const SourceExtras::Entry& entry) const {
    std::string_view who = entry.name;
    who.remove_prefix(std::min(who.size(), std::string_view("acl/").size()));
    if (who.starts_with('-') || who.starts_with('$') || !entry.value.contains('r')) return false;
    for (const std::string_view prefix : {"user=", "group="}) {
      if (who.starts_with(prefix)) who.remove_prefix(prefix.size());
    }
    if (who == "owner" || who == "administrators") return false;
    return std::ranges::none_of(rules_.own_names, [who](const std::string& own) { return iequals(own, who); });
  }

  // A finding for a mailbox, not for each of its entries.
  void extras() {
    std::set<std::string> shared;
    for (const auto& entry : inventory_.extras.acl) {
      if (is_of_others(entry)) shared.insert(entry.mailbox);
    }
    for (const auto& name : shared) add("shared-by-user", Weight::amber, name, "others may see it there; they will not here");
    std::set<std::string> annotated;
    for (const auto& entry : inventory_.extras.metadata) annotated.insert(entry.mailbox);
    for (const auto& name : annotated) add("metadata", Weight::note, name, "has annotations, which nobody is served here");
  }

  void quota() {
    for (const auto& quota : inventory_.extras.quota) {
      if (quota.limit > 0 && quota.usage > quota.limit)
        add("quota-exceeded", Weight::amber, "",
            "is above its limit there: " + quota.resource + " " + std::to_string(quota.usage) + " of " + std::to_string(quota.limit));
    }
    const auto octets = inventory_.octets();
    if (rules_.quota_octets > 0 && octets > rules_.quota_octets)
      add("above-quota", Weight::amber, "",
          "has " + megabytes(octets) + ", may keep " + megabytes(rules_.quota_octets) + " here: no mail will be taken");
  }

  void deltas() {
    if (!inventory_.traits.mod_seqs) {
      const auto messages = inventory_.messages();
      const bool slow = messages >= rules_.slow_delta_messages;
      add("slow-delta", slow ? Weight::amber : Weight::note, "",
          "the server has no CONDSTORE: each delta reads the flags of all " + counted(messages, "message", "messages"));
    }
    const auto freeze = predicted_freeze(inventory_);
    if (freeze > rules_.noticed_freeze)
      add("long-freeze", freeze > rules_.freeze_limit ? Weight::red : Weight::amber, "",
          "the freeze may take " + std::to_string(freeze.count()) + " ms" +
              (freeze > rules_.freeze_limit ? ", more than its limit of " + std::to_string(rules_.freeze_limit.count()) + " ms" : ""));
  }

  const AccountInventory& inventory_;
  const ScanRules& rules_;
  std::vector<Finding> out_;
};

}  // namespace

MailboxCount count_mailbox(std::string name, std::span<const SourceMessage> messages, std::int64_t now) {
  MailboxCount count{.name = std::move(name)};
  std::set<std::string_view> keywords;
  for (const auto& message : messages) {
    ++count.messages;
    const auto size = message.size.value_or(0);
    count.octets += size;
    if (size == 0) ++count.unsized;
    if (size > count.largest) {
      count.largest = size;
      count.largest_uid = message.uid;
    }
    if (!message.internal_date) ++count.undated;
    if (message.internal_date && *message.internal_date > now - kRecentDays * kDay && *message.internal_date <= now) {
      ++count.recent_messages;
      count.recent_octets += size;
    }
    if (!message.odd_flags.empty()) ++count.odd_flagged;
    keywords.insert(message.keywords.begin(), message.keywords.end());
  }
  count.keywords = keywords.size();
  return count;
}

Sample choose_sample(std::span<const SourceMessage> messages) {
  std::vector<Uid> small;
  std::vector<std::pair<std::uint64_t, Uid>> large;
  for (const auto& message : messages) {
    const auto size = message.size.value_or(0);
    if (size <= kSampleSmall) {
      small.push_back(message.uid);
    } else if (size <= kSampleOctets) {
      large.emplace_back(size, message.uid);
    }
  }
  Sample sample;
  const auto taken = std::min(small.size(), kSampleMessages);
  for (std::size_t i = 0; i < taken; ++i) sample.small.add(small[i * small.size() / taken]);
  const auto most = std::min(large.size(), kSampleLarge);
  std::ranges::partial_sort(large, large.begin() + static_cast<std::ptrdiff_t>(most), std::greater{});
  for (std::size_t i = 0; i < most; ++i) sample.large.add(large[i].second);
  return sample;
}

void ReadingCost::add(std::uint64_t messages, std::uint64_t octets, std::chrono::duration<double> took) {
  const auto m = static_cast<double>(messages);
  const auto o = static_cast<double>(octets);
  const auto t = std::max(took.count(), 0.0);
  messages_ += m * m;
  mixed_ += m * o;
  octets_ += o * o;
  time_messages_ += t * m;
  time_octets_ += t * o;
}

void ReadingCost::add(const ReadingCost& other) {
  messages_ += other.messages_;
  mixed_ += other.mixed_;
  octets_ += other.octets_;
  time_messages_ += other.time_messages_;
  time_octets_ += other.time_octets_;
}

ReadingCost ReadingCost::of(std::span<const double> sums) {
  RELAIS_CHECK(sums.size() == 5);
  ReadingCost cost;
  cost.messages_ = sums[0];
  cost.mixed_ = sums[1];
  cost.octets_ = sums[2];
  cost.time_messages_ = sums[3];
  cost.time_octets_ = sums[4];
  return cost;
}

std::chrono::duration<double> ReadingCost::estimate(std::uint64_t messages, std::uint64_t octets) const {
  const double by_messages = messages_ > 0 ? time_messages_ / messages_ : 0;
  const double by_octets = octets_ > 0 ? time_octets_ / octets_ : 0;
  const double determinant = messages_ * octets_ - mixed_ * mixed_;
  double a = 0;
  double b = by_octets;
  // Samples that all have the same size per message do not tell one from the other: octets stand for both.
  if (determinant > 1e-9 * messages_ * octets_) {
    a = (time_messages_ * octets_ - time_octets_ * mixed_) / determinant;
    b = (time_octets_ * messages_ - time_messages_ * mixed_) / determinant;
    if (a < 0) a = 0, b = by_octets;
    if (b < 0) a = by_messages, b = 0;
  } else if (octets_ <= 0) {
    a = by_messages;
  }
  return std::chrono::duration<double>(a * static_cast<double>(messages) + b * static_cast<double>(octets));
}

std::uint64_t AccountInventory::messages() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& count : counts) sum += count.messages;
  return sum;
}

std::uint64_t AccountInventory::octets() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& count : counts) sum += count.octets;
  return sum;
}

std::chrono::milliseconds predicted_freeze(const AccountInventory& inventory) {
  auto freeze = kOurCommits + inventory.listed_in + std::chrono::ceil<std::chrono::milliseconds>(kRoundTrips * inventory.round_trip);
  if (!inventory.traits.mod_seqs) freeze += inventory.read_in;
  return freeze;
}

std::vector<Finding> judge(const AccountInventory& inventory, const ScanRules& rules) { return Judge(inventory, rules).run(); }

std::string_view to_string(Verdict verdict) noexcept {
  static constexpr std::array<std::string_view, 3> kNames{"green", "amber", "red"};
  return kNames[static_cast<std::size_t>(verdict)];
}

std::string_view to_string(Weight weight) noexcept {
  static constexpr std::array<std::string_view, 3> kNames{"note", "amber", "red"};
  return kNames[static_cast<std::size_t>(weight)];
}

Verdict verdict_of(std::span<const Finding> findings) noexcept {
  auto worst = Weight::note;
  for (const auto& finding : findings) worst = std::max(worst, finding.weight);
  return static_cast<Verdict>(worst);
}

}  // namespace relais::migrate
