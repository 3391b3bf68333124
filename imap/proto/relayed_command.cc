// Looks at what a relayed client says with the eyes of the session that may have to go on with it.
#include "imap/proto/relayed_command.h"

#include "base/ascii.h"
#include "imap/proto/append.h"
#include "imap/proto/command.h"
#include "imap/proto/copy.h"
#include "imap/proto/create.h"
#include "imap/proto/enable.h"
#include "imap/proto/expunge.h"
#include "imap/proto/fetch.h"
#include "imap/proto/id.h"
#include "imap/proto/list.h"
#include "imap/proto/mailbox_args.h"
#include "imap/proto/quota.h"
#include "imap/proto/rename.h"
#include "imap/proto/search.h"
#include "imap/proto/select.h"
#include "imap/proto/status.h"
#include "imap/proto/store.h"

namespace relais::imap {
namespace {

template <class T>
bool understood(const Result<T>& parsed) noexcept {
  return parsed || parsed.error().fault != Fault::syntax;
}

void judge_select(RelayedCommand& judged, const Tagged& command, Dialect dialect) {
  judged.kind = RelayedCommand::Kind::select;
  judged.examine = command.command == Command::examine;
  const auto args = parse_select(command.rest, dialect);
  judged.known = understood(args);
  judged.condstore = args && args->condstore;
  if (command.rest.find(kLiteralStandIn) == std::string_view::npos) judged.mailbox = command.rest;
}

bool judge_list(RelayedCommand& judged, const Tagged& command, Dialect dialect) {
  const auto args = parse_list(command.rest, dialect);
  judged.condstore = args && args->return_status && (*args->return_status & kStatusHighestModSeq) != 0;
  return understood(args);
}

bool judge_fetch(RelayedCommand& judged, const Tagged& command, Dialect dialect) {
  const auto args = parse_fetch(command.rest, command.uid, dialect);
  judged.condstore = args && (args->changed_since || args->has(FetchItem::Kind::mod_seq));
  return understood(args);
}

bool judge_search(RelayedCommand& judged, const Tagged& command, Dialect dialect) {
  const auto args = parse_search(command.rest, dialect);
  judged.condstore = args && args->uses_mod_seq;
  judged.saves = args && args->returns.save;
  return understood(args);
}

bool judge_status(RelayedCommand& judged, const Tagged& command, Dialect dialect) {
  const auto args = parse_status(command.rest, dialect);
  judged.condstore = args && (args->items & kStatusHighestModSeq) != 0;
  return understood(args);
}

bool judge_store(RelayedCommand& judged, const Tagged& command, Dialect dialect) {
  const auto args = parse_store(command.rest, dialect);
  judged.condstore = args && args->unchanged_since;
  return understood(args);
}

}  // namespace

RelayedCommand judge_command(std::string_view text, Dialect dialect) {
  RelayedCommand judged;
  const auto parsed = parse_tagged(text);
  if (!parsed) {
    judged.known = false;
    return judged;
  }
  const auto& rest = parsed->rest;
  switch (parsed->command) {
    case Command::select:
    case Command::examine: judge_select(judged, *parsed, dialect); break;
    case Command::close:
    case Command::unselect: judged.kind = RelayedCommand::Kind::leave; [[fallthrough]];
    case Command::capability:
    case Command::check:
    case Command::idle:
    case Command::logout:
    case Command::namespace_:
    case Command::noop: judged.known = understood(parse_nothing(rest)); break;
    case Command::append: judged.known = false; break;  // it never had a message
    case Command::authenticate:
    case Command::login:
    case Command::starttls: judged.known = false; break;
    case Command::copy:
    case Command::move: judged.known = understood(parse_copy(rest, dialect)); break;
    case Command::create: judged.known = understood(parse_create(rest, dialect)); break;
    case Command::delete_:
    case Command::get_quota_root:
    case Command::subscribe:
    case Command::unsubscribe: judged.known = understood(parse_mailbox(rest, dialect)); break;
    case Command::enable: judged.known = understood(parse_enable(rest)); break;  // ENABLED says what came of it
    case Command::expunge: judged.known = parsed->uid ? understood(parse_uid_expunge(rest)) : understood(parse_nothing(rest)); break;
    case Command::fetch: judged.known = judge_fetch(judged, *parsed, dialect); break;
    case Command::get_quota: judged.known = understood(parse_get_quota(rest, dialect)); break;
    case Command::id: judged.known = understood(parse_id(rest, dialect)); break;
    case Command::list: judged.known = judge_list(judged, *parsed, dialect); break;
    case Command::lsub: judged.known = understood(parse_lsub(rest, dialect)); break;
    case Command::rename: judged.known = understood(parse_rename(rest, dialect)); break;
    case Command::search: judged.known = judge_search(judged, *parsed, dialect); break;
    case Command::status: judged.known = judge_status(judged, *parsed, dialect); break;
    case Command::store: judged.known = judge_store(judged, *parsed, dialect); break;
  }
  return judged;
}

// append = "APPEND" SP mailbox 1*append-message                                RFC 9051 §6.3.12, RFC 3502
bool AppendFollower::at_literal(std::string_view text, Dialect dialect) {
  if (!begun_) {
    const auto command = parse_tagged(text);
    if (!command) return false;
    if (command->rest.starts_with(" {")) return false;  // the mailbox
    const auto start = parse_append(command->rest, dialect);
    begun_ = start.has_value() || start.error().fault != Fault::syntax;
    known_ = known_ && begun_;
    utf8_ = start && start->message.utf8;
    return begun_;
  }
  const auto next = parse_append_next(text, utf8_, dialect);
  const bool message = next ? next->has_value() : next.error().fault != Fault::syntax;
  known_ = known_ && message;
  utf8_ = next && *next && (*next)->utf8;
  return message;
}

bool AppendFollower::at_end(std::string_view text, Dialect dialect) {
  if (!begun_ || !known_) return false;
  const auto next = parse_append_next(text, utf8_, dialect);
  return next && !*next;
}

}  // namespace relais::imap
