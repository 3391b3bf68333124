// STATUS.
#include "imap/server/status.h"

#include "imap/proto/status.h"
#include "imap/proto/write.h"
#include "imap/server/object_id.h"

namespace relais::imap {
namespace {

struct Counted {
  std::uint32_t recent = 0;
  std::uint64_t deleted_octets = 0;
};

// What the counters of the mailbox don't tell: these two need a walk over messages, which is why it is taken only when asked for.
net::Task<Counted> count(Session& session, const storage::MailboxInfo& info, bool recent, bool deleted) {
  Counted found;
  NumberSet uids;
  if (info.uid_next > 1) uids.add(NumberRange{deleted ? storage::Uid{1} : info.recent_from, info.uid_next - 1});
  storage::FetchBatch batch;
  storage::FetchRequest request;
  request.uids = &uids;
  request.fields = storage::kFetchFlags;
  do {
    RELAIS_CO_TRY_VOID(co_await session.store().fetch(session.account(), info.id, request, batch));
    for (const auto& message : batch.messages) {
      if (recent && message.uid >= info.recent_from) ++found.recent;
      if ((message.flags & storage::kDeleted) != 0) found.deleted_octets += message.size;
    }
    request.first = batch.next;
  } while (batch.next != 0);
  co_return found;
}

}  // namespace

net::Task<void> send_status(Session& session, std::string_view name, const storage::MailboxInfo& info, StatusItems items) {
  const auto id = mailbox_id_text(info.id);
  StatusValues values;
  values.messages = info.messages;
  values.uid_next = info.uid_next;
  values.uid_validity = info.uid_validity;
  values.unseen = info.unseen;
  values.deleted = info.deleted;
  values.size = info.octets;
  values.highest_mod_seq = info.highest_mod_seq;
  values.mailbox_id = id;
  values.append_limit = session.server().options().append_limit;
  const bool recent = (items & kStatusRecent) != 0 && info.recent_from < info.uid_next && info.messages > 0;
  const bool deleted = (items & kStatusDeletedStorage) != 0 && info.deleted > 0;
  if (recent || deleted) {
    RELAIS_CO_TRY(const auto counted, co_await count(session, info, recent, deleted));
    values.recent = counted.recent;
    values.deleted_storage = counted.deleted_octets;
  }
  append_status(session.out(), name, items, values, session.dialect());
  co_return Result<void>{};
}

// The counters are those of the last commit, also for the selected mailbox (RFC 9051 §6.3.11 advises against asking for that one).
net::Task<Done> status(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_status(command.rest, session.dialect()));
  if ((args.items & kStatusHighestModSeq) != 0) session.enable_condstore();  // RFC 7162 §3.1
  RELAIS_CO_TRY(auto name, session.stored_name(args.mailbox));
  RELAIS_CO_TRY(const auto info, co_await session.store().status(session.account(), std::move(name)));
  if (!info.selectable) co_return fail(Fault::refused, "this is only a name above others", "CANNOT");
  std::string buffer;
  RELAIS_CO_TRY_VOID(co_await send_status(session, session.shown_name(info.name, buffer), info, args.items));
  co_return Done{"STATUS completed"};
}

}  // namespace relais::imap
