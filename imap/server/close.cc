// CLOSE and UNSELECT: back to the authenticated state.
#include "imap/server/close.h"

namespace relais::imap {

// RFC 9051 §6.4.1: \Deleted messages go without EXPUNGE responses; nothing is removed where the mailbox is read-only. The new
// HIGHESTMODSEQ must not be told (RFC 7162 §3.2.8).
net::Task<Done> close(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  const auto& box = *session.selected();
  if (!box.read_only) {
    RELAIS_CO_TRY_VOID(co_await session.store().expunge(session.account(), box.id, std::nullopt, false));
  }
  session.unselect();
  co_return Done{"CLOSE completed"};
}

// RFC 9051 §6.4.2: the same without removing anything.
net::Task<Done> unselect(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  session.unselect();
  co_return Done{"UNSELECT completed"};
}

}  // namespace relais::imap
