// LOGIN's arguments.
#include "imap/proto/login.h"

#include <utility>

#include "imap/proto/cursor.h"

namespace relais::imap {

// login = "LOGIN" SP userid SP password                                        RFC 9051 §9
Result<LoginArgs> parse_login(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  LoginArgs args;
  in.sp();
  args.user = in.astring();
  in.sp();
  args.password = in.astring();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
