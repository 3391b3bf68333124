// RENAME's arguments.
#include "imap/proto/rename.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// rename = "RENAME" SP mailbox SP mailbox                                      RFC 9051 §9
Result<RenameArgs> parse_rename(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  RenameArgs args;
  in.sp();
  args.from = in.mailbox();
  in.sp();
  args.to = in.mailbox();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
