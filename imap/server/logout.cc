// LOGOUT.
#include "imap/server/logout.h"

namespace relais::imap {

net::Task<Done> logout(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  session.out() += "* BYE logging out\r\n";
  session.logout();
  co_return Done{"LOGOUT completed"};
}

}  // namespace relais::imap
