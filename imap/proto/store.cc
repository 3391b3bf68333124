// STORE's arguments.
#include "imap/proto/store.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// store = "STORE" SP sequence-set [SP "(" store-modifier ")"] SP store-att-flags
// store-modifier  = "UNCHANGEDSINCE" SP mod-sequence-valzer                    RFC 7162 §7
// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))    RFC 9051 §9
Result<StoreArgs> parse_store(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  StoreArgs args;
  in.sp();
  args.messages = in.sequence_set();
  in.sp();
  if (in.accept('(')) {
    if (!in.accept_word("UNCHANGEDSINCE")) in.miss("UNCHANGEDSINCE");
    in.sp();
    args.unchanged_since = in.number64();
    in.octet(')', "\")\" behind the store modifiers");
    in.sp();
  }
  if (in.accept('+')) {
    args.mode = StoreArgs::Mode::add;
  } else if (in.accept('-')) {
    args.mode = StoreArgs::Mode::remove;
  }
  args.silent = in.accept_word("FLAGS.SILENT");
  if (!args.silent && !in.accept_word("FLAGS")) in.miss("FLAGS or FLAGS.SILENT");
  in.sp();
  args.flags = in.peek('(') ? in.flag_list() : in.flags_bare();
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
