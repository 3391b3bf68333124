// The table of commands.
#include "imap/server/commands.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/metrics.h"
#include "imap/server/append.h"
#include "imap/server/authenticate.h"
#include "imap/server/capability.h"
#include "imap/server/close.h"
#include "imap/server/copy.h"
#include "imap/server/create.h"
#include "imap/server/delete.h"
#include "imap/server/enable.h"
#include "imap/server/expunge.h"
#include "imap/server/fetch.h"
#include "imap/server/id.h"
#include "imap/server/idle.h"
#include "imap/server/list.h"
#include "imap/server/login.h"
#include "imap/server/logout.h"
#include "imap/server/namespace.h"
#include "imap/server/noop.h"
#include "imap/server/quota.h"
#include "imap/server/rename.h"
#include "imap/server/search.h"
#include "imap/server/select.h"
#include "imap/server/starttls.h"
#include "imap/server/status.h"
#include "imap/server/store.h"
#include "imap/server/subscribe.h"

namespace relais::imap {
namespace {

constexpr auto kStranger = static_cast<std::uint8_t>(State::not_authenticated);
constexpr auto kSelectedOnly = static_cast<std::uint8_t>(State::selected);
constexpr auto kUser = static_cast<std::uint8_t>(static_cast<std::uint8_t>(State::authenticated) | kSelectedOnly);
constexpr auto kAny = static_cast<std::uint8_t>(kStranger | kUser);
constexpr std::uint8_t kBoth = kMayExpunge | kUidMayExpunge;

// In the order of the enumeration. RFC 9051 §6 says which state each belongs to.
constexpr std::array<CommandRow, kCommandCount> kCommands{{
    {Command::append, kUser, kMayExpunge, append},
    {Command::authenticate, kStranger, 0, authenticate},
    {Command::capability, kAny, kMayExpunge, capability},
    {Command::check, kSelectedOnly, kMayExpunge, noop},
    {Command::close, kSelectedOnly, 0, close},
    {Command::copy, kSelectedOnly, kBoth | kNewsFirst, copy},
    {Command::create, kUser, kMayExpunge, create},
    {Command::delete_, kUser, kMayExpunge, delete_mailbox},
    {Command::enable, kUser, 0, enable},
    {Command::examine, kUser, 0, select},
    {Command::expunge, kSelectedOnly, kBoth, expunge},
    {Command::fetch, kSelectedOnly, kUidMayExpunge | kNewsFirst, fetch},
    {Command::get_quota, kUser, kMayExpunge, get_quota},
    {Command::get_quota_root, kUser, kMayExpunge, get_quota_root},
    {Command::id, kAny, kMayExpunge, id},
    {Command::idle, kUser, kMayExpunge, idle},
    {Command::list, kUser, kMayExpunge, list},
    {Command::login, kStranger, 0, login},
    {Command::logout, kAny, 0, logout},
    {Command::lsub, kUser, kMayExpunge, lsub},
    {Command::move, kSelectedOnly, kBoth | kNewsFirst, move},
    {Command::namespace_, kUser, kMayExpunge, namespaces},
    {Command::noop, kAny, kMayExpunge, noop},
    {Command::rename, kUser, kMayExpunge, rename},
    {Command::search, kSelectedOnly, kUidMayExpunge | kNewsFirst, search},
    {Command::select, kUser, 0, select},
    {Command::starttls, kStranger, 0, starttls},
    {Command::status, kUser, kMayExpunge, status},
    {Command::store, kSelectedOnly, kUidMayExpunge | kNewsFirst, store},
    {Command::subscribe, kUser, kMayExpunge, subscribe},
    {Command::unselect, kSelectedOnly, 0, unselect},
    {Command::unsubscribe, kUser, kMayExpunge, subscribe},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    if (kCommands[i].command != static_cast<Command>(i)) return false;
  }
  return true;
}
static_assert(in_order(), "row_of() finds a row by its number");

}  // namespace

const CommandRow& row_of(Command command) noexcept { return kCommands[static_cast<std::size_t>(command)]; }

void count_command(Command command) noexcept {
  static const auto counters = [] {
    std::array<metrics::Counter*, kCommandCount> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i] = &metrics::counter("relais_imap_commands_total", "IMAP commands executed",
                                 {{"command", to_lower(name_of(static_cast<Command>(i)))}});
    }
    return all;
  }();
  counters[static_cast<std::size_t>(command)]->add();
}

}  // namespace relais::imap
