// CAPABILITY: what the session may announce now.
#include "imap/server/capability.h"

#include "base/ascii.h"
#include "directory/sasl.h"

namespace relais::imap {

namespace {

// LITERAL+ is announced in place of the LITERAL- that IMAP4rev2 implies: it allows all that the other does (RFC 7888 §5).
void append_own(std::string& out, const Options& options) {
  out +=
      "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS CHILDREN ESEARCH SEARCHRES WITHIN LIST-EXTENDED "
      "LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE MOVE BINARY"
      " CONDSTORE QRESYNC STATUS=SIZE MULTIAPPEND OBJECTID SAVEDATE PARTIAL UTF8=ACCEPT QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE "
      "APPENDLIMIT=";
  append_number(out, options.append_limit);
}

}  // namespace

void append_capabilities(std::string& out, Session& session) {
  if (session.state() == State::not_authenticated) {
    // Clients keep what they were told here, so it must hold wherever the account turns out to live.
    const auto early = session.server().early_capabilities();
    out += "IMAP4rev1";
    if ((early & kImap4rev2) != 0) out += " IMAP4rev2";
    if ((early & kLiteralPlus) != 0) out += " LITERAL+";
    out += " SASL-IR";
    if ((early & kEnable) != 0) out += " ENABLE";
    if ((early & kId) != 0) out += " ID";
    if ((early & kIdle) != 0) out += " IDLE";
    if (!session.encrypted() && session.server().tls() != nullptr) out += " STARTTLS";
    if (!session.plaintext_allowed()) out += " LOGINDISABLED";
    const auto& options = session.server().options();
    for (const auto mechanism : directory::sasl_mechanisms(session.server().directory(), session.encrypted(), options.allow_plaintext)) {
      out.append(" AUTH=").append(mechanism);
    }
    return;
  }
  append_own(out, session.server().options());
}

std::vector<std::string> own_capabilities(const Options& options) {
  std::string text;
  append_own(text, options);
  std::vector<std::string> all;
  for (const auto one : split(text, ' ')) all.emplace_back(one);
  return all;
}

net::Task<Done> capability(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  session.out() += "* CAPABILITY ";
  append_capabilities(session.out(), session);
  session.out() += "\r\n";
  co_return Done{"CAPABILITY completed"};
}

}  // namespace relais::imap
