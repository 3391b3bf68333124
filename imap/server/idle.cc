// IDLE: from here on the session loop tells news as they come, until DONE.
#include "imap/server/idle.h"

namespace relais::imap {

net::Task<Done> idle(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  session.out() += "+ idling\r\n";
  session.idle(command.tag);
  co_return Done{.text = {}, .later = true};
}

}  // namespace relais::imap
