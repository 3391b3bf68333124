// SELECT's and EXAMINE's arguments.
#include "imap/proto/select.h"

#include <utility>

#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

// "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
// seq-match-data = "(" known-sequence-set SP known-uid-set ")"                 RFC 7162 §7
QresyncParams qresync(Cursor& in) {
  QresyncParams params;
  in.sp();
  in.octet('(', "QRESYNC parameters");
  params.uid_validity = in.nz_number();
  in.sp();
  params.mod_seq = in.nz_number64();
  bool more = in.accept(' ');
  if (more && !in.peek('(')) {
    params.known_uids = in.known_set();
    more = in.accept(' ');
  }
  if (more) {
    auto& match = params.seq_match.emplace();
    in.octet('(', "sequence match data");
    match.sequences = in.known_set();
    in.sp();
    match.uids = in.known_set();
    in.octet(')', "\")\" behind the sequence match data");
    if (match.sequences.count() != match.uids.count()) in.miss("as many UIDs as sequence numbers");
  }
  in.octet(')', "\")\" behind the QRESYNC parameters");
  return params;
}

}  // namespace

// select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]    RFC 4466 §6, RFC 7162 §7
Result<SelectArgs> parse_select(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  SelectArgs args;
  in.sp();
  args.mailbox = in.mailbox();
  if (in.accept(' ')) {
    in.octet('(', "select parameters");
    do {
      if (in.accept_word("CONDSTORE")) {
        args.condstore = true;
      } else if (!args.qresync && in.accept_word("QRESYNC")) {
        args.qresync = qresync(in);
      } else {
        in.miss("CONDSTORE or QRESYNC");
      }
    } while (in.accept(' '));
    in.octet(')', "\")\" behind the select parameters");
  }
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
