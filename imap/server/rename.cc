// RENAME.
#include "imap/server/rename.h"

#include "imap/proto/rename.h"

namespace relais::imap {

// A session that has the mailbox selected goes on: it knows it by its id. INBOX keeps its name and loses its messages (RFC 9051 §6.3.6).
net::Task<Done> rename(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_rename(command.rest, session.dialect()));
  RELAIS_CO_TRY_VOID(co_await session.store().rename(session.account(), args.from, args.to));
  co_return Done{"RENAME completed"};
}

}  // namespace relais::imap
