// SUBSCRIBE and UNSUBSCRIBE.
#include "imap/server/subscribe.h"

#include "imap/proto/mailbox_args.h"

namespace relais::imap {

net::Task<Done> subscribe(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_mailbox(command.rest, session.dialect()));
  RELAIS_CO_TRY(auto name, session.stored_name(std::move(args.mailbox)));
  const bool on = command.command == Command::subscribe;
  RELAIS_CO_TRY_VOID(co_await session.store().subscribe(session.account(), std::move(name), on));
  co_return Done{on ? "SUBSCRIBE completed" : "UNSUBSCRIBE completed"};
}

}  // namespace relais::imap
