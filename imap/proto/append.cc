// What stands before, between and behind the messages of an APPEND.
#include "imap/proto/append.h"

#include <utility>

#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

// append-message = [SP flag-list] [SP date-time] SP append-data                RFC 4466 §6, without extensions
// append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")"             RFC 6855 §4
// The octets of the literal are the caller's; here it ends with the text.
AppendMessage message(Cursor& in) {
  AppendMessage found;
  in.sp();
  if (in.peek('(')) {
    found.flags = in.flag_list();
    in.sp();
  }
  if (in.peek('"')) {
    found.date = in.date_time();
    in.sp();
  }
  found.utf8 = in.accept_word("UTF8");
  if (found.utf8) {
    in.sp();
    in.octet('(', "\"(\" behind UTF8");
  }
  found.binary = in.accept('~');
  if (found.utf8 && !found.binary) in.miss("literal8");
  in.octet('{', "the message as a literal");
  in.number64();
  in.accept('+');
  in.octet('}', "\"}\" behind the size of a literal");
  in.end();
  return found;
}

}  // namespace

// append = "APPEND" SP mailbox 1*append-message                                RFC 4466 §6, RFC 3502 §6.3.11
Result<AppendStart> parse_append(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  AppendStart start;
  in.sp();
  start.mailbox = in.mailbox();
  start.message = message(in);
  if (!in.ok()) return in.error();
  return start;
}

Result<std::optional<AppendMessage>> parse_append_next(std::string_view text, bool after_utf8, Dialect dialect) {
  Cursor in(text, dialect);
  if (after_utf8) in.octet(')', "\")\" behind the message");
  if (in.ok() && in.at_end()) return std::nullopt;
  auto next = message(in);
  if (!in.ok()) return in.error();
  return next;
}

}  // namespace relais::imap
