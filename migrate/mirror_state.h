// What the parts of one pass share. Internal to the mirror.
#pragma once

#include "migrate/mirror.h"

#include <map>
#include <set>
#include <string>
#include <utility>

namespace relais::migrate {

/// One pass. Threads: the loop's.
struct MirrorState {
  Target& target;
  Cursors& cursors;
  const MirrorRules& rules;
  const MirrorEvents& events;
  PassFigures figures{};
  bool stopped = false;  ///< an error of one source's part ends the others' at their next mailbox

  void find(Finding finding) const {
    if (events.finding) events.finding(std::move(finding));
  }
  void written(const TargetMailbox& mailbox, const NumberSet& uids) const {
    if (events.written) events.written(mailbox.name, uids);
  }
  void progress() const {
    if (events.progress) events.progress(figures);
  }
  /// @param ended  set where the event gives an Error: the pass ends, whatever the Error says
  net::Task<void> budget(std::uint64_t messages, std::uint64_t octets, bool& ended) const {
    if (!events.budget || rules.frozen) co_return Result<void>{};
    auto done = co_await events.budget(messages, octets);
    ended = ended || !done;
    co_return done;
  }
  /// The mailbox's cursor moves, in the journal first.
  net::Task<void> move_cursor(const SourceMailbox& mailbox, const TargetMailbox& there, Cursor cursor, bool& ended) {
    if (events.in_step) {
      auto done = co_await events.in_step(mailbox, there, cursor);
      ended = ended || !done;
      if (!done) co_return done;
    }
    cursors.insert_or_assign(mailbox.wire, cursor);
    co_return Result<void>{};
  }
};

/// A mailbox that is on both sides.
struct MailboxPair {
  SourceMailbox source;
  TargetMailbox target;
};

/// Makes the target's mailboxes, special uses and subscriptions as listed. @param source  is asked about mailboxes that may have been
/// renamed @return what is to be brought in step, in order
net::Task<std::vector<MailboxPair>> mirror_names(MirrorState& state, Source& source, SourceListing listing);

/// Brings one mailbox in step. Errors: those that end the pass.
net::Task<void> mirror_mailbox(MirrorState& state, Source& source, MailboxPair pair);

}  // namespace relais::migrate
