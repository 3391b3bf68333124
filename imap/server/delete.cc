// DELETE.
#include "imap/server/delete.h"

#include "imap/proto/mailbox_args.h"

namespace relais::imap {

net::Task<Done> delete_mailbox(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_mailbox(command.rest, session.dialect()));
  RELAIS_CO_TRY(auto name, session.stored_name(std::move(args.mailbox)));
  bool is_selected = false;
  if (session.selected() != nullptr) {
    RELAIS_CO_TRY(const auto info, co_await session.store().status(session.account(), name));
    is_selected = info.id == session.selected()->id;
  }
  RELAIS_CO_TRY_VOID(co_await session.store().remove(session.account(), std::move(name)));
  if (is_selected) {
    session.unselect();
    session.out() += "* OK [CLOSED] the mailbox is gone\r\n";
  }
  co_return Done{"DELETE completed"};
}

}  // namespace relais::imap
