// The front of a command: tag, keyword, and the table of keywords.
#include "imap/proto/command.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

struct Row {
  std::string_view name;
  Command command;
  bool has_uid = false;  ///< "UID " may stand before it (RFC 9051 §9 `uid`)
};

// In the order of the enum: name_of() indexes it.
constexpr std::array<Row, kCommandCount> kCommands{{
    {"APPEND", Command::append},
    {"AUTHENTICATE", Command::authenticate},
    {"CAPABILITY", Command::capability},
    {"CHECK", Command::check},
    {"CLOSE", Command::close},
    {"COPY", Command::copy, true},
    {"CREATE", Command::create},
    {"DELETE", Command::delete_},
    {"ENABLE", Command::enable},
    {"EXAMINE", Command::examine},
    {"EXPUNGE", Command::expunge, true},
    {"FETCH", Command::fetch, true},
    {"GETQUOTA", Command::get_quota},
    {"GETQUOTAROOT", Command::get_quota_root},
    {"ID", Command::id},
    {"IDLE", Command::idle},
    {"LIST", Command::list},
    {"LOGIN", Command::login},
    {"LOGOUT", Command::logout},
    {"LSUB", Command::lsub},
    {"MOVE", Command::move, true},
    {"NAMESPACE", Command::namespace_},
    {"NOOP", Command::noop},
    {"RENAME", Command::rename},
    {"SEARCH", Command::search, true},
    {"SELECT", Command::select},
    {"STARTTLS", Command::starttls},
    {"STATUS", Command::status},
    {"STORE", Command::store, true},
    {"SUBSCRIBE", Command::subscribe},
    {"UNSELECT", Command::unselect},
    {"UNSUBSCRIBE", Command::unsubscribe},
}};
static_assert([] {
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    if (static_cast<std::size_t>(kCommands[i].command) != i) return false;
  }
  return true;
}());

// tag = 1*<any ASTRING-CHAR except "+">                                        RFC 9051 §9
constexpr std::size_t kMaxTag = 255;  // octets; our own limit: tags are echoed

bool is_tag_char(char c) noexcept { return c != '+' && (c == ']' || is_atom_char(c)); }

std::size_t tag_size(std::string_view text) noexcept {
  std::size_t n = 0;
  while (n < text.size() && n <= kMaxTag && is_tag_char(text[n])) ++n;
  return n > kMaxTag || (n < text.size() && text[n] != ' ') ? 0 : n;
}

}  // namespace

std::string_view name_of(Command command) noexcept { return kCommands[static_cast<std::size_t>(command)].name; }

std::string_view tag_of(std::string_view text) noexcept {
  const auto line = text.substr(0, text.find_first_of("\r\n"));
  const auto n = tag_size(line);
  return n == 0 ? std::string_view("*") : line.substr(0, n);
}

// command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
// uid     = "UID" SP (copy / move / fetch / search / store / uid-expunge)      RFC 9051 §9
Result<Tagged> parse_tagged(std::string_view text) {
  const auto tag = tag_size(text);
  if (tag == 0) return fail(Fault::syntax, "expected tag");
  Cursor in(text.substr(tag));
  in.sp();
  const bool uid = in.accept_word("UID");
  if (uid) in.sp();
  if (!in.ok()) return in.error();
  const auto word = in.peek_word();
  const auto row = std::ranges::find_if(kCommands, [word](const Row& r) { return r.name.size() == word.size() && iequals(r.name, word); });
  if (row == kCommands.end()) return fail(Fault::syntax, "expected a command that is known here");
  if (uid && !row->has_uid) return fail(Fault::syntax, "expected COPY, EXPUNGE, FETCH, MOVE, SEARCH or STORE behind UID");
  in.skip(word.size());
  return Tagged{std::string(text.substr(0, tag)), row->command, uid, in.rest()};
}

Result<void> parse_nothing(std::string_view rest) {
  Cursor in(rest);
  in.end();
  if (!in.ok()) return in.error();
  return {};
}

}  // namespace relais::imap
