// ID's arguments.
#include "imap/proto/id.h"

#include "imap/proto/cursor.h"

namespace relais::imap {

// id = "ID" SP id-params-list; id-params-list = "(" *(string SP nstring) ")" / nil      RFC 2971 §4
Result<IdFields> parse_id(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  IdFields fields;
  in.sp();
  if (!in.accept_word("NIL")) {
    in.octet('(', "list of fields or NIL");
    if (!in.accept(')')) {
      do {
        auto name = in.string();
        in.sp();
        auto value = in.nstring();
        if (name.size() > kMaxIdName || (value && value->size() > kMaxIdValue)) in.miss("shorter field");
        if (fields.size() == kMaxIdFields) in.miss("at most 30 fields");
        fields.emplace_back(std::move(name), std::move(value));
      } while (in.accept(' '));
      in.octet(')', "\")\" behind the fields");
    }
  }
  in.end();
  if (!in.ok()) return in.error();
  return fields;
}

}  // namespace relais::imap
