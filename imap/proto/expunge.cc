// UID EXPUNGE's arguments.
#include "imap/proto/expunge.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// uid-expunge = "EXPUNGE" SP sequence-set                                      RFC 9051 §9
Result<UidExpungeArgs> parse_uid_expunge(std::string_view rest) {
  Cursor in(rest);
  UidExpungeArgs args;
  in.sp();
  args.uids = in.sequence_set();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
