// Every command of the IMAP grammar: what is accepted is well-formed and can be written back, what is refused says why.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "imap/proto/append.h"
#include "imap/proto/authenticate.h"
#include "imap/proto/command.h"
#include "imap/proto/copy.h"
#include "imap/proto/create.h"
#include "imap/proto/cursor.h"
#include "imap/proto/enable.h"
#include "imap/proto/expunge.h"
#include "imap/proto/fetch.h"
#include "imap/proto/id.h"
#include "imap/proto/list.h"
#include "imap/proto/login.h"
#include "imap/proto/mailbox.h"
#include "imap/proto/mailbox_args.h"
#include "imap/proto/quota.h"
#include "imap/proto/rename.h"
#include "imap/proto/search.h"
#include "imap/proto/select.h"
#include "imap/proto/status.h"
#include "imap/proto/store.h"
#include "imap/proto/write.h"

using namespace relais;
using namespace relais::imap;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

template <class T>
bool accepted(const Result<T>& result) {
  if (result) return true;
  check(result.error().fault == Fault::syntax || result.error().fault == Fault::refused);
  check(!result.error().text.empty() && is_ascii(result.error().text));
  return false;
}

void check_mailbox(const std::string& name, Dialect dialect) {
  check(dialect.any_names ? !name.empty() && !name.contains('\0') : is_mailbox_name(name));
  std::string text;
  append_mailbox(text, name, dialect);
  Cursor in(text, dialect);
  check(in.mailbox() == name && in.ok() && in.at_end());
}

void check_set(const SequenceSet& set) {
  check(!set.empty());
  if (!set.saved) check(!set.resolve(1000).empty());
}

void check_flags(const FlagList& flags) {
  std::string text;
  append_flags(text, flags.system, flags.keywords);
  Cursor in(text);
  check(in.flag_list() == flags && in.at_end());
}

std::size_t depth_of(const SearchKey& key) {
  using Kind = SearchKey::Kind;
  if (key.kind == Kind::sequence || key.kind == Kind::uid) check_set(key.set);
  if (key.kind == Kind::keyword) check(is_keyword(key.text) || key.text.size() > kMaxKeyword);
  check((key.kind == Kind::all_of || key.kind == Kind::any_of) == (key.keys.size() >= 2));
  std::size_t most = 0;
  for (const auto& inner : key.keys) most = std::max(most, depth_of(inner));
  return most + 1;
}

void check_fetch(std::string_view rest, bool uid, Dialect dialect) {
  const auto args = parse_fetch(rest, uid, dialect);
  if (!accepted(args)) return;
  check_set(args->messages);
  check(!args->items.empty());
  std::string text = " 1 (";
  for (const auto& item : args->items) {
    auto plain = item;
    plain.partial.reset();
    if (text.back() != '(') text += ' ';
    append_item_name(text, plain);
  }
  const auto again = parse_fetch(text + ")", uid, dialect);
  check(again.has_value() && again->items.size() == args->items.size());
  for (std::size_t i = 0; i < args->items.size(); ++i) {
    const auto& a = args->items[i];
    const auto& b = again->items[i];
    check(a.kind == b.kind && a.text == b.text && a.part == b.part && a.names == b.names);
  }
}

void check_search(std::string_view rest, Dialect dialect) {
  const auto args = parse_search(rest, dialect);
  if (accepted(args)) check(depth_of(args->root) <= 2 * kMaxSearchDepth + 1);
}

void check_list(std::string_view rest, Dialect dialect) {
  const auto args = parse_list(rest, dialect);
  if (!accepted(args)) return;
  for (const auto& pattern : args->patterns) {
    check(dialect.any_names || is_utf8(pattern));
    if (!pattern.contains('%') && !pattern.contains('*')) check(list_matches(pattern, pattern, dialect.separator));
  }
}

void check_append(std::string_view rest, Dialect dialect) {
  const auto start = parse_append(rest, dialect);
  if (!accepted(start)) return;
  check_mailbox(start->mailbox, dialect);
  check_flags(start->message.flags);
}

void check_select(std::string_view rest, Dialect dialect) {
  const auto args = parse_select(rest, dialect);
  if (!accepted(args)) return;
  check_mailbox(args->mailbox, dialect);
  if (args->qresync && args->qresync->seq_match)
    check(args->qresync->seq_match->sequences.count() == args->qresync->seq_match->uids.count());
}

template <class T>
void check_name_only(const Result<T>& args, Dialect dialect) {
  if (accepted(args)) check_mailbox(args->mailbox, dialect);
}

void check_two_names(std::string_view rest, Dialect dialect) {
  const auto args = parse_rename(rest, dialect);
  if (!accepted(args)) return;
  check_mailbox(args->from, dialect);
  check_mailbox(args->to, dialect);
}

void check_store(std::string_view rest, Dialect dialect) {
  const auto args = parse_store(rest, dialect);
  if (!accepted(args)) return;
  check_set(args->messages);
  check_flags(args->flags);
}

void check_copy(std::string_view rest, Dialect dialect) {
  const auto args = parse_copy(rest, dialect);
  if (!accepted(args)) return;
  check_set(args->messages);
  check_mailbox(args->mailbox, dialect);
}

void check_arguments(const Tagged& command, Dialect dialect) {
  const auto rest = command.rest;
  switch (command.command) {
    case Command::append: return check_append(rest, dialect);
    case Command::authenticate:
      accepted(parse_authenticate(rest));
      accepted(parse_sasl_response(rest));
      return;
    case Command::copy:
    case Command::move: return check_copy(rest, dialect);
    case Command::create: return check_name_only(parse_create(rest, dialect), dialect);
    case Command::delete_:
    case Command::subscribe:
    case Command::unsubscribe:
    case Command::get_quota_root: return check_name_only(parse_mailbox(rest, dialect), dialect);
    case Command::enable:
      if (const auto args = parse_enable(rest); accepted(args)) check(!args->capabilities.empty());
      return;
    case Command::select:
    case Command::examine: return check_select(rest, dialect);
    case Command::expunge:
      if (const auto args = parse_uid_expunge(rest); accepted(args)) check_set(args->uids);
      return;
    case Command::fetch: return check_fetch(rest, command.uid, dialect);
    case Command::get_quota: accepted(parse_get_quota(rest, dialect)); return;
    case Command::id: accepted(parse_id(rest, dialect)); return;
    case Command::list: return check_list(rest, dialect);
    case Command::lsub: accepted(parse_lsub(rest, dialect)); return;
    case Command::login: accepted(parse_login(rest, dialect)); return;
    case Command::rename: return check_two_names(rest, dialect);
    case Command::search: return check_search(rest, dialect);
    case Command::status:
      if (const auto args = parse_status(rest, dialect); accepted(args)) {
        check_mailbox(args->mailbox, dialect);
        check(args->items != 0);
      }
      return;
    case Command::store: return check_store(rest, dialect);
    default: accepted(parse_nothing(rest));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool any_names = (data[0] & 4U) != 0;
  const Dialect dialect{.utf8 = (data[0] & 1U) != 0, .separator = any_names ? '.' : '/', .any_names = any_names};
  const bool after_utf8 = (data[0] & 2U) != 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto part = parse_append_next(text, after_utf8, dialect); accepted(part) && *part) check_flags((*part)->flags);
  const auto command = parse_tagged(text);
  if (!accepted(command)) {
    check(reply_for(tag_of(text), command.error()).ends_with("\r\n"));
    return 0;
  }
  check(command->tag == tag_of(text));
  check_arguments(*command, dialect);
  return 0;
}
