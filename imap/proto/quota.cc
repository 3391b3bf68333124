// GETQUOTA's arguments.
#include "imap/proto/quota.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// getquota = "GETQUOTA" SP quota-root-name                                     RFC 9208 §7
Result<GetQuotaArgs> parse_get_quota(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  GetQuotaArgs args;
  in.sp();
  args.root = in.astring();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
