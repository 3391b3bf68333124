// Comparing both ends of a move.
#pragma once

#include "base/number_set.h"
#include "migrate/figures.h"
#include "migrate/finding.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "net/task.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace relais::migrate {

enum class VerifyDepth : std::uint8_t {
  counters,  ///< mailboxes, UIDVALIDITY, UIDNEXT, numbers of messages, special uses, subscriptions: one list() on each side
  messages,  ///< and UIDs, sizes, flags, dates
  digests,   ///< and SHA-256 of every message, read on both sides
};

struct VerifyRules {
  VerifyDepth depth = VerifyDepth::messages;
  /// Storage names of the mailboxes that are looked into; the others are compared by their counters. Empty: all.
  std::vector<std::string> only{};
  /// Of these mailboxes (storage names) no other messages are looked into than these: what a delta has written, after which either both
  /// sides have a message, or neither has. Not less than all is looked into where the numbers of messages differ, or the source's
  /// HIGHESTMODSEQ is not that of `cursors` any more.
  std::map<std::string, NumberSet, std::less<>> written{};
  Cursors cursors{};  ///< where the mailboxes were after that delta
  /// Of the copy: a message that is "unreadable" may be missing, one whose size is told wrong ("size-wrong") differs in it.
  std::vector<Finding> known{};
};

/// What differs: empty is what a switch needs. Codes beyond those of compare.h: "mailbox-missing", "mailbox-extra", "kind-differs",
/// "uidvalidity-differs", "uidnext-differs", "count-differs", "special-use-differs", "subscriptions-differ", "digest-differs". While the
/// source changes it finds what changed since the last pass.
/// Errors: of source and target; Fault::refused for mailboxes that change hands meanwhile.
net::Task<std::vector<Finding>> verify(Source& source, Target& target, VerifyRules rules);

}  // namespace relais::migrate
