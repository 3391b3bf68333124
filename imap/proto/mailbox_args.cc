// The arguments of commands that take one mailbox.
#include "imap/proto/mailbox_args.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// delete = "DELETE" SP mailbox, and its like                                   RFC 9051 §9, RFC 9208 §7
Result<MailboxArgs> parse_mailbox(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  MailboxArgs args;
  in.sp();
  args.mailbox = in.mailbox();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
