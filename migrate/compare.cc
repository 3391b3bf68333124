// Compares mailboxes; see compare.h.
#include "migrate/compare.h"

#include "base/ascii.h"
#include "imap/proto/values.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

namespace relais::migrate {
namespace {

std::string flags_of(const SourceMessage& message) {
  std::string out;
  for (auto bits = static_cast<unsigned>(message.system_flags); bits != 0; bits &= bits - 1) {
    out.append(out.empty() ? "" : " ").append(imap::name_of(static_cast<imap::SystemFlag>(1U << std::countr_zero(bits))));
  }
  for (const auto& keyword : message.keywords) out.append(out.empty() ? "" : " ").append(keyword);
  return out;
}

std::string date_of(const SourceMessage& message) {
  return std::to_string(message.internal_date.value_or(0)) + " zone " + std::to_string(message.internal_zone);
}

/// Of a complete listing.
NumberSet all_of(const SourceChanges& changes) {
  NumberSet all;
  for (const auto& message : changes.changed) all.add(message.uid);
  return all;
}

}  // namespace

bool same_keywords(std::span<const std::string> a, std::span<const std::string> b) {
  if (std::ranges::equal(a, b)) return true;
  const auto lowered = [](std::span<const std::string> keywords) {
    std::vector<std::string> out;
    for (const auto& keyword : keywords) out.push_back(to_lower(keyword));
    std::ranges::sort(out);
    return out;
  };
  return a.size() == b.size() && lowered(a) == lowered(b);
}

std::vector<Finding> compare_messages(std::string_view mailbox, std::span<const SourceMessage> source,
                                      std::span<const SourceMessage> target) {
  std::vector<Finding> out;
  const auto add = [&](std::string code, Uid uid, std::string text, std::string there = {}, std::string here = {}) {
    out.push_back({std::move(code), Weight::red, std::string(mailbox), uid, std::move(text), std::move(there), std::move(here)});
  };
  std::size_t j = 0;
  const auto extra = [&](std::uint64_t below) {
    for (; j < target.size() && target[j].uid < below; ++j) add("extra", target[j].uid, "a message that the source does not have");
  };
  for (const auto& there : source) {
    extra(there.uid);
    if (j == target.size() || target[j].uid != there.uid) {
      add("missing", there.uid, "a message that the target does not have");
      continue;
    }
    const auto& here = target[j++];
    if (there.system_flags != here.system_flags || !same_keywords(there.keywords, here.keywords)) {
      add("flags-differ", there.uid, "other flags", flags_of(there), flags_of(here));
    }
    if (there.internal_date && here.internal_date &&
        (there.internal_date != here.internal_date || there.internal_zone != here.internal_zone)) {
      add("date-differs", there.uid, "another INTERNALDATE", date_of(there), date_of(here));
    }
    if (there.size && here.size && there.size != here.size) {
      add("size-differs", there.uid, "another size", std::to_string(*there.size), std::to_string(*here.size));
    }
  }
  extra(std::uint64_t{UINT32_MAX} + 1);
  return out;
}

std::vector<std::string> give_uses_once(SourceListing& listing) {
  std::vector<std::string> out;
  unsigned used = 0;
  for (auto& mailbox : listing.mailboxes) {
    const auto left = mailbox.name == "INBOX" || !mailbox.selectable ? 0U : mailbox.special_use & ~used;
    if (left != mailbox.special_use) out.push_back(mailbox.name);
    mailbox.special_use = static_cast<std::uint8_t>(left);
    used |= mailbox.special_use;
  }
  return out;
}

std::optional<Delta> plan_delta(const SourceChanges& changes, const TargetState& target, const NumberSet& unreadable) {
  Delta delta;
  delta.anew = target.uid_validity != changes.state.uid_validity;
  if (!delta.anew) {
    for (const auto& message : changes.changed) {
      if (target.uids.contains(message.uid)) {
        delta.flags.push_back(message);
      } else if (!unreadable.contains(message.uid)) {
        delta.anew |= message.uid < target.uid_next;
        delta.append.add(message.uid);
      }
    }
  }
  if (!delta.anew) {
    if (changes.all || changes.restarted) {
      delta.expunge = target.uids;
      delta.expunge.remove(changes.all ? *changes.all : all_of(changes));
    } else {
      delta.expunge = target.uids.intersect(changes.vanished);
    }
    return delta;
  }
  // All of it again; only a complete listing can say what that is.
  if (!changes.restarted && !changes.all) return std::nullopt;
  delta.flags.clear();
  delta.append = changes.all ? *changes.all : all_of(changes);
  delta.append.remove(unreadable);
  return delta;
}

}  // namespace relais::migrate
