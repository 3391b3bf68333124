// CREATE's arguments.
#include "imap/proto/create.h"

#include <utility>

#include "imap/proto/cursor.h"
#include "imap/proto/mailbox.h"

namespace relais::imap {
namespace {

// "USE" SP "(" [use-attr *(SP use-attr)] ")"                                   RFC 6154 §6
std::uint8_t uses(Cursor& in) {
  unsigned bits = 0;
  in.sp();
  in.octet('(', "special uses");
  if (in.accept(')')) return 0;
  do {
    const auto rest = in.rest();
    in.octet('\\', "special use");
    const auto name = in.atom();
    if (!in.ok()) return 0;
    const auto use = special_use(rest.substr(0, name.size() + 1));
    if (!use) {
      in.refuse("USEATTR", "No such special use");
      return 0;
    }
    bits |= *use;
  } while (in.accept(' '));
  in.octet(')', "\")\" behind the special uses");
  return static_cast<std::uint8_t>(bits);
}

}  // namespace

// create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]    RFC 4466 §6
Result<CreateArgs> parse_create(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  CreateArgs args;
  in.sp();
  args.mailbox = in.mailbox();
  if (in.accept(' ')) {
    in.octet('(', "create parameters");
    if (!in.accept_word("USE")) in.miss("USE");
    args.special_use = uses(in);
    in.octet(')', "\")\" behind the create parameters");
  }
  in.end();
  if (!in.ok()) return in.error();
  // RFC 9051 §6.3.4: a trailing separator declares that names below will be created; the mailbox is the one without it.
  if (args.mailbox.size() > 1 && dialect.separator != '\0' && args.mailbox.ends_with(dialect.separator)) {
    args.mailbox.pop_back();
    args.names_hierarchy = true;
  }
  return args;
}

}  // namespace relais::imap
