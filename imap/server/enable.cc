// ENABLE: switches on what changes the server's answers.
#include "imap/server/enable.h"

#include "imap/proto/enable.h"

namespace relais::imap {

// RFC 5161 §3.1: unknown names are ignored, and the answer lists what this command switched on.
net::Task<Done> enable(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_enable(command.rest));
  auto& enabled = session.enabled();
  std::string names;
  const auto turn_on = [&names](bool& what, std::string_view name) {
    if (!std::exchange(what, true)) names.append(" ").append(name);
  };
  bool condstore = enabled.condstore;
  bool implied = false;
  for (const auto& name : args.capabilities) {
    if (name == "IMAP4REV2") {
      turn_on(enabled.rev2, "IMAP4rev2");
    } else if (name == "UTF8=ACCEPT" || name == "UTF8=ONLY") {
      turn_on(enabled.utf8_accept, "UTF8=ACCEPT");
    } else if (name == "CONDSTORE") {
      turn_on(condstore, "CONDSTORE");
    } else if (name == "QRESYNC") {
      implied = true;  // RFC 7162 §3.2.3: CONDSTORE with it
      turn_on(enabled.qresync, "QRESYNC");
    }
  }
  session.out().append("* ENABLED").append(names).append("\r\n");
  if (condstore || implied) session.enable_condstore();
  co_return Done{"ENABLE completed"};
}

}  // namespace relais::imap
