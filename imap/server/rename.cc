// RENAME.
#include "imap/server/rename.h"

#include "imap/proto/rename.h"

namespace relais::imap {

// A session that has the mailbox selected goes on: it knows it by its id. INBOX keeps its name and loses its messages (RFC 9051 §6.3.6).
net::Task<Done> rename(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_rename(command.rest, session.dialect()));
  RELAIS_CO_TRY(auto from, session.stored_name(std::move(args.from)));
  RELAIS_CO_TRY(auto to, session.stored_name(std::move(args.to)));
  RELAIS_CO_TRY_VOID(co_await session.store().rename(session.account(), std::move(from), std::move(to)));
  co_return Done{"RENAME completed"};
}

}  // namespace relais::imap
