// One account from a source to a target: the first copy, and what changed since.
#pragma once

#include "base/result.h"
#include "migrate/figures.h"
#include "migrate/finding.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "net/task.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace relais::migrate {

/// What a mirror tells while it works; each member may be empty. Called on the mirror's loop, one at a time for each source.
struct MirrorEvents {
  /// The mailbox is as its source was at `cursor`: to be journaled before anything relies on it. Not called where that is where it was, and
  /// nothing was done. A cursor of zeros: the mailbox is about to be emptied, and what was journaled of it holds no longer. An Error ends
  /// the pass.
  std::function<net::Task<void>(const SourceMailbox&, const TargetMailbox&, Cursor cursor)> in_step{};
  /// The source has no such mailbox any more: its cursor is void. By wire name. An Error ends the pass.
  std::function<net::Task<void>(std::string wire)> gone{};
  std::function<void(Finding)> finding{};
  /// Messages were appended, expunged, or given flags: by storage name. Before in_step(), and in a pass that is cut off too.
  std::function<void(const std::string& mailbox, const NumberSet& uids)> written{};
  /// A mailbox could not be brought in step because it changed hands meanwhile (was removed, renamed, made anew): the next pass will.
  std::function<void(const SourceMailbox&, const Error&)> postponed{};
  /// After each transaction of the target: what this pass has done so far. The last one stands where the pass ends with an Error.
  std::function<void(const PassFigures&)> progress{};
  /// Before messages are asked for (their number) and after they came (their octets): the governor waits here. Not called in a freeze. An
  /// Error ends the pass.
  std::function<net::Task<void>(std::uint64_t messages, std::uint64_t octets)> budget{};
};

struct MirrorRules {
  std::uint32_t batch_messages = 1'000;
  std::uint64_t batch_octets = 8U << 20U;
  std::uint32_t large_mailbox = 10'000;  ///< messages: mailboxes with more come last
  bool read_back = true;                 ///< compare digests of what lies in the target with what was received
  bool frozen = false;                   ///< a final delta: no budget
  std::vector<std::string> anew{};       ///< storage names: emptied and copied again, since verify() found that they differ
};

/// Makes the target as the source is: mailboxes, special uses and subscriptions first; then mailbox by mailbox, INBOX first and large ones
/// last: expunges, flags, messages ascending by UID, counters.
///
/// A pass that was cut off anywhere is repeated from the cursors: what it had done already is recognised by the target's own state (its
/// UIDs, its UIDNEXT, its flags). While one batch is committed the next one is read; the source is not read while both are full. Memory:
/// two batches and a message for each source.
///
/// What is below the target's next UID and not in it was not readable when it came by: it is asked for again in each pass that looks into
/// the mailbox, and where it can be read now the mailbox is made anew, because UIDs ascend. A mailbox whose UIDVALIDITY has changed is made
/// anew. A mailbox is taken for a renamed one where exactly one went and one came with its UIDVALIDITY, all messages that both have are
/// equal in size and date, and the last one of them in its octets; otherwise it is copied.
///
/// @param sources  one or more, of the same account: mailboxes are shared out among them. Not of different places.
/// @param cursors  where each mailbox was when it was last in step: read, and kept up to date
///
/// Findings are no errors; their codes: "unreadable", "size-wrong", "no-date", "digest-differs", "odd-flags", "keywords-dropped",
/// "uidvalidity-changed", "copied-anew", "name-changed", "name-clash", "shared-mailbox", "not-carried", "no-state", "mailbox-refused",
/// "mailbox-failed", "subscriptions-refused", "special-use-twice".
///
/// Errors: those of the source but for those of one mailbox (findings); of the target; of events; Fault::corrupt where what was read back
/// is not what was received (and it is taken away again). The first one ends the pass; what was done stays.
///
/// Threads: the loop of sources and target. Lifetime: all arguments outlive the call.
net::Task<PassFigures> mirror_pass(std::vector<Source*> sources, Target& target, Cursors& cursors, const MirrorRules& rules,
                                   const MirrorEvents& events);

}  // namespace relais::migrate
