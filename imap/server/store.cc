// STORE and UID STORE.
#include "imap/server/store.h"

#include "base/ascii.h"
#include "imap/proto/store.h"
#include "imap/proto/write.h"

namespace relais::imap {
namespace {

storage::FlagOperation operation_of(StoreArgs::Mode mode) noexcept {
  switch (mode) {
    case StoreArgs::Mode::add: return storage::FlagOperation::add;
    case StoreArgs::Mode::remove: return storage::FlagOperation::remove;
    case StoreArgs::Mode::replace: break;
  }
  return storage::FlagOperation::replace;
}

// What .SILENT leaves to say: with CONDSTORE the client must learn the new mod-sequences (RFC 7162 §3.1.3).
void append_mod_seq_response(Session& session, const storage::FlagChange& change) {
  auto& out = session.out();
  out += "* ";
  append_number(out, session.selected()->sequence_of(change.uid));
  out += " FETCH (UID ";
  append_number(out, change.uid);
  out += " MODSEQ (";
  append_number(out, change.mod_seq);
  out += "))\r\n";
}

net::Task<void> send_changes(Session& session, const storage::StoreFlagsResult& stored, bool silent) {
  if (silent && !session.enabled().condstore) co_return Result<void>{};
  FlagsWriter writer(session.selected()->keywords);
  for (const auto& change : stored.changed) {
    if (silent) {
      append_mod_seq_response(session, change);
    } else {
      session.append_flags_response(change, writer);
    }
    if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
  }
  co_return Result<void>{};
}

// RFC 7162 §3.1.3 recommends to tell what the refused messages look like now: the client would have to ask.
net::Task<void> send_refused(Session& session, const NumberSet& failed) {
  FlagsWriter writer(session.selected()->keywords);
  storage::FetchBatch batch;
  storage::FetchRequest request;
  request.uids = &failed;
  do {
    RELAIS_CO_TRY_VOID(co_await session.store().fetch(session.account(), session.selected()->id, request, batch));
    for (const auto& view : batch.messages) {
      session.append_flags_response({view.uid, view.flags, view.mod_seq}, writer);
      if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
    }
    request.first = batch.next;
  } while (batch.next != 0);
  co_return Result<void>{};
}

}  // namespace

net::Task<Done> store(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_store(command.rest, session.dialect()));
  if (session.selected()->read_only) co_return fail(Fault::refused, "the mailbox was opened read-only", "CANNOT");
  if (args.unchanged_since) session.enable_condstore();  // RFC 7162 §3.1
  RELAIS_CO_TRY(auto uids, session.selected()->resolve(args.messages, command.uid));
  if (uids.empty()) co_return Done{"no messages to change"};
  auto& box = *session.selected();
  storage::StoreFlagsRequest request;
  request.uids = uids;
  request.operation = operation_of(args.mode);
  request.system_flags = args.flags.system;
  request.keywords = std::move(args.flags.keywords);
  request.unchanged_since = args.unchanged_since;
  RELAIS_CO_TRY(const auto stored, co_await session.store().store_flags(session.account(), box.id, std::move(request)));
  session.own_flag_changes(stored, !args.silent);
  RELAIS_CO_TRY_VOID(co_await send_changes(session, stored, args.silent));

  if (!stored.failed.empty()) {
    RELAIS_CO_TRY_VOID(co_await send_refused(session, stored.failed));
    // RFC 7162 §3.1.3: OK, even where all failed.
    std::string text = "[MODIFIED ";
    append_number_set(text, command.uid ? stored.failed : box.sequences_of(stored.failed));
    co_return Done{text.append("] conditional STORE failed")};
  }
  // Another session expunged them, and the client does not know it yet. RFC 2180 §4.2: NO where none is left, and never with .SILENT. Where
  // some are, they were changed and told: RFC 5530 §3 EXPUNGEISSUED says the rest.
  if (!command.uid && !args.silent && stored.changed.size() < uids.count()) {
    if (stored.changed.empty()) co_return fail(Fault::refused, "the messages are gone", "EXPUNGEISSUED");
    co_return Done{"[EXPUNGEISSUED] some of the messages are gone"};
  }
  co_return Done{command.uid ? "UID STORE completed" : "STORE completed"};
}

}  // namespace relais::imap
