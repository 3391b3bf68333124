// NAMESPACE: one personal namespace, "/" between levels.
#include "imap/server/namespace.h"

namespace relais::imap {

net::Task<Done> namespaces(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  session.out() += "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n";
  co_return Done{"NAMESPACE completed"};
}

}  // namespace relais::imap
