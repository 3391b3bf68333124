// NAMESPACE: one personal namespace, "/" between levels, or that of the account's view of names.
#include "imap/server/namespace.h"

#include "imap/proto/write.h"

namespace relais::imap {

net::Task<Done> namespaces(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  append_namespace(session.out(), session.names() == nullptr ? std::string_view() : session.names()->prefix, session.dialect());
  co_return Done{"NAMESPACE completed"};
}

}  // namespace relais::imap
