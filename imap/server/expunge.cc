// EXPUNGE and UID EXPUNGE.
#include "imap/server/expunge.h"

#include "base/ascii.h"
#include "imap/proto/expunge.h"

namespace relais::imap {

net::Task<Done> expunge(Session& session, const Tagged& command) {
  auto& box = *session.selected();
  std::optional<NumberSet> uids;
  if (command.uid) {
    RELAIS_CO_TRY(const auto args, parse_uid_expunge(command.rest));
    RELAIS_CO_TRY(uids, box.resolve(args.uids, true));
  } else {
    RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  }
  if (box.read_only) co_return fail(Fault::refused, "the mailbox was opened read-only", "CANNOT");
  RELAIS_CO_TRY(const auto removed, co_await session.store().expunge(session.account(), box.id, std::move(uids), false));
  box.expunged(removed.expunged);
  Done done{command.uid ? "UID EXPUNGE completed" : "EXPUNGE completed"};
  if (!removed.expunged.empty()) {
    box.own_change(removed.highest_mod_seq);
    if (session.enabled().qresync) {  // RFC 7162 §3.2.7, §3.2.9
      std::string code = "[HIGHESTMODSEQ ";
      append_number(code, removed.highest_mod_seq);
      done.text.insert(0, code.append("] "));
    }
  }
  co_return done;
}

}  // namespace relais::imap
