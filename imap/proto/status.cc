// STATUS's arguments.
#include "imap/proto/status.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"          RFC 9051 §9
Result<StatusArgs> parse_status(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  StatusArgs args;
  in.sp();
  args.mailbox = in.mailbox();
  in.sp();
  args.items = in.status_items();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
