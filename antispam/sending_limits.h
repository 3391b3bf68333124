// How much one account may send in an hour and in a day, so that a stolen password does not make the platform a source of spam.
#pragma once

#include "antispam/verdict.h"
#include "base/clock.h"
#include "base/result.h"

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace relais::antispam {

/// 0: no limit.
struct SendingLimitOptions {
  std::uint32_t messages_hour = 300;
  std::uint32_t messages_day = 1'500;
  std::uint32_t recipients_hour = 1'000;
  std::uint32_t recipients_day = 5'000;
};

/// What a session is told.
struct SendingVerdict {
  Action action = Action::accept;    ///< defer: the hour is used up; reject: the day is, or no waiting would help
  std::string_view status{};         ///< "4.7.1", "5.7.1"
  std::string text{};                ///< for the client, one line
  std::string_view limit{};          ///< which: "messages an hour", …
  bool newly = false;                ///< the account's first refusal since it was last within its limits: the admin was told (log, metric)
};

/// An account that was refused something within the last day, for the admin.
struct SendingReport {
  std::uint64_t account = 0;
  std::string address;               ///< as the session gave it
  std::uint32_t messages_hour = 0, messages_day = 0, recipients_hour = 0, recipients_day = 0;
  std::uint32_t refused = 0;         ///< messages and recipients refused since `since`
  std::int64_t since = 0;            ///< seconds since epoch of the first refusal
};

/// Sliding windows: each of an hour in steps of 5 minutes and of a day in steps of an hour; the oldest step counts whole until it has left, so the
/// limits are never exceeded in any hour or day, and one waits up to a step longer than need be.
///
/// Reserve before you accept: message() at MAIL (or when the message is whole), recipient() at each RCPT; give_back() what was reserved for a
/// transaction that came to nothing. What is refused does not count.
/// An event "sending-limit" (warning) and relais_antispam_sending_refused_total tell the admin, once per account until it is within its limits again.
///
/// Threads: any. Memory: about 300 octets per account that sent something within a day.
/// Restart: save() every minute or so and at the end, load() at the start. What was sent since the last save() is forgotten by a crash.
class SendingLimits {
 public:
  explicit SendingLimits(SendingLimitOptions options = {}, const Clock& clock = system_clock());

  /// New limits for what comes (a reload); what was counted stays.
  void set_options(SendingLimitOptions options);

  /// @param account  number, not 0   @param address  for the log and the report
  SendingVerdict message(std::uint64_t account, std::string_view address);
  SendingVerdict recipient(std::uint64_t account, std::string_view address);
  /// Takes back what message() and recipient() accepted for a transaction that ended without a message. Counts what is there at most.
  void give_back(std::uint64_t account, std::uint32_t messages, std::uint32_t recipients);

  /// Accounts with refusals, worst first.
  std::vector<SendingReport> refused() const;
  /// What an account has sent; zeros for one that has sent nothing.
  SendingReport usage(std::uint64_t account) const;
  /// Forgets what an account has sent: the admin says that it was right.
  void forgive(std::uint64_t account);

  /// Everything as octets (docs/format.md), and back. restore() takes what is still within a day; Fault::corrupt for octets that are none.
  std::string snapshot() const;
  Result<void> restore(std::string_view octets);
  /// To a file, replaced atomically, and from it; a missing file is no error. Blocks: for a worker.
  /// Errors: Fault::temporary where the file can't be written or read, Fault::corrupt as restore().
  Result<void> save(const std::string& path) const;
  Result<void> load(const std::string& path);

 private:
  static constexpr std::size_t kHourSteps = 13;  ///< of 5 minutes: twelve and the one that is leaving
  static constexpr std::size_t kDaySteps = 25;   ///< of an hour
  struct Count {
    std::uint32_t messages = 0;
    std::uint32_t recipients = 0;
  };
  struct Usage {
    std::int64_t stamp = 0;                   ///< seconds since epoch of the newest step
    std::array<Count, kHourSteps> hour{};     ///< by step number modulo size
    std::array<Count, kDaySteps> day{};
    std::string address;
    std::uint32_t refused = 0;
    std::int64_t since = 0;
  };

  std::int64_t now() const;
  void advance(Usage& usage, std::int64_t to) const;
  SendingVerdict take(std::uint64_t account, std::string_view address, Count what);
  void sweep(std::int64_t now);

  const Clock& clock_;
  mutable std::mutex mutex_;
  SendingLimitOptions options_;                          // guarded by mutex_, as is all below
  std::unordered_map<std::uint64_t, Usage> accounts_;
  std::int64_t last_sweep_ = 0;
};

}  // namespace relais::antispam
