// The tag and the keyword of a command, and the table of the commands there are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace relais::imap {

/// The commands of RFC 3501, RFC 9051 and the extensions we serve. The UID forms of copy, expunge, fetch, move, search and store
/// are the same command with `uid` set.
enum class Command : std::uint8_t {
  append,
  authenticate,
  capability,
  check,
  close,
  copy,
  create,
  delete_,
  enable,
  examine,
  expunge,
  fetch,
  get_quota,
  get_quota_root,
  id,
  idle,
  list,
  login,
  logout,
  lsub,
  move,
  namespace_,
  noop,
  rename,
  search,
  select,
  starttls,
  status,
  store,
  subscribe,
  unselect,
  unsubscribe,
};
inline constexpr std::size_t kCommandCount = 32;

/// "APPEND", "GETQUOTAROOT", …
std::string_view name_of(Command command) noexcept;

/// The front of a command.
struct Tagged {
  std::string tag;
  Command command = Command::noop;
  bool uid = false;
  std::string_view rest;  ///< after the keyword, its leading SP included; points into the text that was parsed
};

/// The tag of a command line, or "*" where it has none: for replies to what can't be parsed. Points into `text`.
std::string_view tag_of(std::string_view text) noexcept;

/// Parses `tag SP [UID SP] keyword`.
///
/// @param text  One command from the framer, without its final CRLF.
/// @return Tagged, or Fault::syntax: no tag, no such command. Reply with tag_of(text).
/// Source: RFC 9051 §9 `command`, `tag`, `uid`.
Result<Tagged> parse_tagged(std::string_view text);

/// For commands without arguments: Fault::syntax where anything follows the keyword.
Result<void> parse_nothing(std::string_view rest);

}  // namespace relais::imap
