// NOOP and CHECK: the session's synchronisation after every command does the work.
#include "imap/server/noop.h"

namespace relais::imap {

net::Task<Done> noop(Session&, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  co_return Done{command.command == Command::check ? "CHECK completed" : "NOOP completed"};
}

}  // namespace relais::imap
