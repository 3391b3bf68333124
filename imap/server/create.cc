// CREATE.
#include "imap/server/create.h"

#include "imap/proto/create.h"
#include "imap/proto/write.h"
#include "imap/server/object_id.h"

namespace relais::imap {

net::Task<Done> create(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_create(command.rest, session.dialect()));
  RELAIS_CO_TRY(auto name, session.stored_name(args.mailbox));
  RELAIS_CO_TRY(const auto info, co_await session.store().create(session.account(), std::move(name), args.special_use, std::nullopt));
  std::string buffer;
  const auto shown = session.shown_name(info.name, buffer);
  if (shown != args.mailbox && session.enabled().rev2) {  // RFC 9051 §6.3.9.7: the name was normalised
    append_list(session.out(), ListLine{.name = shown, .attributes = {}, .lsub = false, .child_info = {}, .old_name = args.mailbox},
                session.dialect());
  }
  co_return Done{"[MAILBOXID (" + mailbox_id_text(info.id) + ")] CREATE completed"};  // RFC 8474 §4.1
}

}  // namespace relais::imap
