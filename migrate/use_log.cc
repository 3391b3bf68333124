// From sessions to the days on which an account was used.
#include "migrate/use_log.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace relais::migrate {
namespace {

constexpr std::int64_t kDay = 24 * 3600;  // seconds

void merge(UseRecord& into, const UseRecord& more) noexcept {
  into.last_imap = std::max(into.last_imap, more.last_imap);
  into.last_pop = std::max(into.last_pop, more.last_pop);
}

}  // namespace

void UseLog::note(AccountNumber account, directory::GuestKind kind) {
  const auto day = static_cast<std::int32_t>(clock_.seconds() / kDay);
  UseRecord use;
  switch (kind) {
    case directory::GuestKind::imap_relay:
    case directory::GuestKind::imap_native: use.last_imap = day; break;
    case directory::GuestKind::pop_relay:
    case directory::GuestKind::pop_native: use.last_pop = day; break;
    case directory::GuestKind::smtp_transfer: return;
  }
  const std::lock_guard lock(mutex_);
  if (day != today_) {
    known_.clear();
    today_ = day;
  }
  auto& known = known_[account];
  const auto before = known;
  merge(known, use);
  if (known != before) merge(unwritten_[account], use);
}

net::Task<void> UseLog::flush() {
  std::vector<std::pair<AccountNumber, UseRecord>> records;
  {
    const std::lock_guard lock(mutex_);
    records.assign(unwritten_.begin(), unwritten_.end());
    unwritten_.clear();
  }
  if (records.empty()) co_return Result<void>{};
  auto written = co_await journal_.note_use(records);
  if (!written) {
    const std::lock_guard lock(mutex_);
    for (const auto& [account, use] : records) merge(unwritten_[account], use);
  }
  co_return written;
}

}  // namespace relais::migrate
