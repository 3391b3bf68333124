// COPY and MOVE.
#include "imap/server/copy.h"

#include "imap/proto/copy.h"
#include "imap/proto/write.h"

namespace relais::imap {
namespace {

// OK must not look as if messages that are gone were safe in the other mailbox.
Error all_gone() { return {Fault::refused, "EXPUNGEISSUED", "the messages are gone", ""}; }

}  // namespace

// UIDs that are gone are ignored (RFC 9051 §6.4.9); of sequence numbers those that are left are copied, as RFC 2180 §4.4 allows.
net::Task<Done> copy(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_copy(command.rest, session.dialect()));
  RELAIS_CO_TRY(auto target, session.stored_name(std::move(args.mailbox)));
  auto& box = *session.selected();
  RELAIS_CO_TRY(auto uids, box.resolve(args.messages, command.uid));
  if (uids.empty()) co_return Done{"no messages to copy"};
  RELAIS_CO_TRY(const auto copied, co_await session.store().copy(session.account(), box.id, std::move(uids), std::move(target)));
  if (copied.from.empty() && !command.uid) co_return fail(all_gone());
  Done done;
  if (!copied.from.empty()) append_copyuid(done.text, copied.uid_validity, copied.from, copied.to);
  done.text += "COPY completed";
  co_return done;
}

// RFC 9051 §6.4.8: COPYUID goes out before the EXPUNGE or VANISHED responses, in an untagged OK.
net::Task<Done> move(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_copy(command.rest, session.dialect()));
  RELAIS_CO_TRY(auto target, session.stored_name(std::move(args.mailbox)));
  auto& box = *session.selected();
  if (box.read_only) co_return fail(Fault::refused, "the mailbox was opened read-only", "CANNOT");
  RELAIS_CO_TRY(auto uids, box.resolve(args.messages, command.uid));
  if (uids.empty()) co_return Done{"no messages to move"};
  RELAIS_CO_TRY(const auto moved, co_await session.store().move(session.account(), box.id, std::move(uids), std::move(target)));
  if (moved.from.empty() && !command.uid) co_return fail(all_gone());
  if (moved.from.empty()) co_return Done{"no messages to move"};
  auto& out = session.out();
  out += "* OK ";
  append_copyuid(out, moved.uid_validity, moved.from, moved.to);
  out += "moved\r\n";
  NumberSet gone;
  for (const auto uid : moved.from) gone.add(uid);
  box.expunged(gone);
  // A MOVE within the mailbox made new messages too: those are for the synchronisation behind the command to tell.
  if (moved.uid_validity != box.uid_validity) box.own_change(moved.highest_mod_seq);
  Done done{"MOVE completed"};
  if (session.enabled().qresync) done.text = "[HIGHESTMODSEQ " + std::to_string(moved.highest_mod_seq) + "] MOVE completed";
  co_return done;
}

}  // namespace relais::imap
