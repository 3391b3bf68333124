// COPY's and MOVE's arguments.
#include "imap/proto/copy.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// copy = "COPY" SP sequence-set SP mailbox; move = "MOVE" SP sequence-set SP mailbox    RFC 9051 §9
Result<CopyArgs> parse_copy(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  CopyArgs args;
  in.sp();
  args.messages = in.sequence_set();
  in.sp();
  args.mailbox = in.mailbox();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
