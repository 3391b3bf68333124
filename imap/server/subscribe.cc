// SUBSCRIBE and UNSUBSCRIBE.
#include "imap/server/subscribe.h"

#include "imap/proto/mailbox_args.h"

namespace relais::imap {

net::Task<Done> subscribe(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_mailbox(command.rest, session.dialect()));
  const bool on = command.command == Command::subscribe;
  RELAIS_CO_TRY_VOID(co_await session.store().subscribe(session.account(), args.mailbox, on));
  co_return Done{on ? "SUBSCRIBE completed" : "UNSUBSCRIBE completed"};
}

}  // namespace relais::imap
