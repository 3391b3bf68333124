// LIST's and LSUB's arguments.
#include "imap/proto/list.h"

#include <utility>

#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

// list-select-opts; a list-select-mod-opt needs a list-select-base-opt         RFC 5258 §6
// RFC 6154 §6: SPECIAL-USE is a list-select-base-opt.
void selection(Cursor& in, ListArgs& args) {
  args.extended = true;
  if (in.accept(')')) return;
  do {
    if (in.accept_word("SUBSCRIBED")) {
      args.select_subscribed = true;
    } else if (in.accept_word("REMOTE")) {
      args.select_remote = true;
    } else if (in.accept_word("RECURSIVEMATCH")) {
      args.select_recursive_match = true;
    } else if (in.accept_word("SPECIAL-USE")) {
      args.select_special_use = true;
    } else {
      in.miss("SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE");
    }
  } while (in.accept(' '));
  in.octet(')', "\")\" behind the selection options");
  if (args.select_recursive_match && !args.select_subscribed && !args.select_special_use) {
    in.miss("an option that RECURSIVEMATCH can work with");
  }
  // RFC 5258 §3.1, RFC 6154 §2: to select by it is to return it.
  args.return_subscribed = args.select_subscribed;
  args.return_special_use = args.select_special_use;
}

// mbox-or-pat = list-mailbox / patterns; patterns = "(" list-mailbox *(SP list-mailbox) ")"    RFC 5258 §6
void patterns(Cursor& in, ListArgs& args) {
  const auto one = [&in, &args] {
    if (auto pattern = in.list_mailbox()) args.patterns.push_back(std::move(*pattern));
  };
  if (!in.accept('(')) return one();
  args.extended = true;
  do {
    if (args.patterns.size() == kMaxListPatterns) in.refuse("LIMIT", "Too many patterns");
    one();
  } while (in.accept(' '));
  in.octet(')', "\")\" behind the patterns");
}

// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"   RFC 5258 §6, RFC 5819 §4
void returns(Cursor& in, ListArgs& args) {
  args.extended = true;
  if (!in.accept_word("RETURN")) in.miss("RETURN");
  in.sp();
  in.octet('(', "return options");
  if (in.accept(')')) return;
  do {
    if (in.accept_word("SUBSCRIBED")) {
      args.return_subscribed = true;
    } else if (in.accept_word("CHILDREN")) {
      args.return_children = true;
    } else if (in.accept_word("SPECIAL-USE")) {
      args.return_special_use = true;
    } else if (in.accept_word("STATUS")) {
      in.sp();
      args.return_status = static_cast<StatusItems>(args.return_status.value_or(0) | in.status_items());
    } else {
      in.miss("SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS");
    }
  } while (in.accept(' '));
  in.octet(')', "\")\" behind the return options");
}

}  // namespace

// list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]    RFC 9051 §9
Result<ListArgs> parse_list(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  ListArgs args;
  in.sp();
  if (in.accept('(')) {
    selection(in, args);
    in.sp();
  }
  auto reference = in.list_reference();
  in.sp();
  patterns(in, args);
  if (!reference) args.patterns.clear();
  args.reference = std::move(reference).value_or(std::string());
  if (in.accept(' ')) returns(in, args);
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

// lsub = "LSUB" SP mailbox SP list-mailbox                                     RFC 3501 §9
Result<LsubArgs> parse_lsub(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  LsubArgs args;
  in.sp();
  auto reference = in.list_reference();
  in.sp();
  args.pattern = in.list_mailbox();
  if (!reference) args.pattern.reset();
  args.reference = std::move(reference).value_or(std::string());
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
