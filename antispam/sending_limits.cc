// Sliding counts of what accounts send.
#include "antispam/sending_limits.h"

#include "base/crc32c.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/metrics.h"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>

namespace relais::antispam {
namespace {

constexpr std::int64_t kHourStep = 300;  // seconds
constexpr std::int64_t kDayStep = 3'600;
constexpr std::int64_t kDay = 86'400;
constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kMagic = "RSnd";
constexpr std::size_t kMaxFile = std::size_t{1} << 30;  // octets: more than a million accounts take

metrics::Counter& refused_total() {
  static auto& counter = metrics::counter("relais_antispam_sending_refused_total", "messages and recipients refused by sending limits");
  return counter;
}

/// Clears the steps that have begun since `from`. Steps are numbered by time and kept modulo their count.
template <class Counts>
void clear_steps(Counts& counts, std::int64_t from, std::int64_t to, std::int64_t step) {
  const auto size = static_cast<std::int64_t>(counts.size());
  const auto first = from / step + 1;
  const auto last = to / step;
  for (auto i = std::max(first, last - size + 1); i <= last; ++i) counts[static_cast<std::size_t>(i % size)] = {};
}

template <class Counts>
auto sum(const Counts& counts) {
  typename Counts::value_type total{};
  for (const auto& count : counts) {
    total.messages += count.messages;
    total.recipients += count.recipients;
  }
  return total;
}

/// Takes counts away, the newest first.
template <class Counts>
void take_back(Counts& counts, std::int64_t now, std::int64_t step, std::uint32_t messages, std::uint32_t recipients) {
  const auto size = static_cast<std::int64_t>(counts.size());
  for (std::int64_t i = 0; i < size; ++i) {
    auto& count = counts[static_cast<std::size_t>(((now / step - i) % size + size) % size)];
    const auto fewer_messages = std::min(messages, count.messages);
    const auto fewer_recipients = std::min(recipients, count.recipients);
    count.messages -= fewer_messages;
    count.recipients -= fewer_recipients;
    messages -= fewer_messages;
    recipients -= fewer_recipients;
  }
}

template <class Counts>
void put_counts(std::string& out, const Counts& counts) {
  for (const auto& count : counts) {
    put_varint(out, count.messages);
    put_varint(out, count.recipients);
  }
}

template <class Counts>
void read_counts(Decoder& in, Counts& counts) {
  for (auto& count : counts) {
    count.messages = static_cast<std::uint32_t>(in.varint());
    count.recipients = static_cast<std::uint32_t>(in.varint());
  }
}

std::unexpected<Error> file_error(std::string_view what, const std::string& path) {
  return fail(Fault::temporary, "the sending limits can't be kept", "", std::string(what) + " " + path + ": " + std::strerror(errno));
}

class File {
 public:
  explicit File(int fd) noexcept : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

bool write_all(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const auto n = ::write(fd, octets.data(), octets.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

SendingLimits::SendingLimits(SendingLimitOptions options, const Clock& clock) : clock_(clock), options_(options) {}

std::int64_t SendingLimits::now() const { return clock_.seconds(); }

void SendingLimits::set_options(SendingLimitOptions options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

void SendingLimits::advance(Usage& usage, std::int64_t to) const {
  if (to <= usage.stamp) return;  // also for a clock that was set back: its steps are the newest until time has caught up
  clear_steps(usage.hour, usage.stamp, to, kHourStep);
  clear_steps(usage.day, usage.stamp, to, kDayStep);
  usage.stamp = to;
}

/// Forgets accounts without a trace left, once an hour.
void SendingLimits::sweep(std::int64_t to) {
  if (to - last_sweep_ < kDayStep) return;
  last_sweep_ = to;
  for (auto entry = accounts_.begin(); entry != accounts_.end();) {
    auto& usage = entry->second;
    advance(usage, to);
    if (usage.refused != 0 && to - usage.since > kDay) usage.refused = 0;
    const auto day = sum(usage.day);
    const bool trace = day.messages != 0 || day.recipients != 0 || usage.refused != 0;
    entry = trace ? std::next(entry) : accounts_.erase(entry);
  }
}

SendingVerdict SendingLimits::take(std::uint64_t account, std::string_view address, Count what) {
  const std::lock_guard lock(mutex_);
  const auto time = now();
  sweep(time);
  auto& usage = accounts_[account];
  if (usage.stamp == 0) usage.stamp = time;
  if (usage.address != address) usage.address = address;
  advance(usage, time);
  const auto hour = sum(usage.hour);
  const auto day = sum(usage.day);
  const auto over = [](std::uint32_t used, std::uint32_t more, std::uint32_t limit) {
    return more != 0 && limit != 0 && used + more > limit;
  };
  SendingVerdict verdict;
  // The day first: who has used it up waits in vain for the hour.
  if (over(day.messages, what.messages, options_.messages_day))
    verdict.limit = "messages a day";
  else if (over(day.recipients, what.recipients, options_.recipients_day))
    verdict.limit = "recipients a day";
  if (!verdict.limit.empty()) {
    verdict.action = Action::reject;
    verdict.status = "5.7.1";
  } else {
    if (over(hour.messages, what.messages, options_.messages_hour))
      verdict.limit = "messages an hour";
    else if (over(hour.recipients, what.recipients, options_.recipients_hour))
      verdict.limit = "recipients an hour";
    if (verdict.limit.empty()) {
      const auto at = static_cast<std::size_t>((usage.stamp / kHourStep) % static_cast<std::int64_t>(kHourSteps));
      const auto at_day = static_cast<std::size_t>((usage.stamp / kDayStep) % static_cast<std::int64_t>(kDaySteps));
      usage.hour[at].messages += what.messages;
      usage.hour[at].recipients += what.recipients;
      usage.day[at_day].messages += what.messages;
      usage.day[at_day].recipients += what.recipients;
      return verdict;
    }
    verdict.action = Action::defer;
    verdict.status = "4.7.1";
  }
  const std::uint32_t limit = verdict.limit == "messages a day"     ? options_.messages_day
                              : verdict.limit == "recipients a day" ? options_.recipients_day
                              : verdict.limit == "messages an hour" ? options_.messages_hour
                                                                    : options_.recipients_hour;
  verdict.text = "this account may send to at most ";
  if (what.messages != 0) verdict.text = "this account may send at most ";
  verdict.text.append(std::to_string(limit)).append(" ").append(verdict.limit);
  verdict.text += verdict.action == Action::defer ? ", try again in an hour" : ", send the rest tomorrow or ask your administrator";
  if (usage.refused != 0 && time - usage.since > kDay) usage.refused = 0;
  verdict.newly = usage.refused == 0;
  if (verdict.newly) usage.since = time;
  ++usage.refused;
  refused_total().add();
  if (verdict.newly) {
    log::event(log::Level::warning, "sending-limit",
               {{"account", account}, {"address", address}, {"limit", verdict.limit}, {"allowed", limit}});
  }
  return verdict;
}

SendingVerdict SendingLimits::message(std::uint64_t account, std::string_view address) { return take(account, address, {1, 0}); }

SendingVerdict SendingLimits::recipient(std::uint64_t account, std::string_view address) { return take(account, address, {0, 1}); }

void SendingLimits::give_back(std::uint64_t account, std::uint32_t messages, std::uint32_t recipients) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(account);
  if (found == accounts_.end()) return;
  auto& usage = found->second;
  advance(usage, now());
  take_back(usage.hour, usage.stamp, kHourStep, messages, recipients);
  take_back(usage.day, usage.stamp, kDayStep, messages, recipients);
}

SendingReport SendingLimits::usage(std::uint64_t account) const {
  const std::lock_guard lock(mutex_);
  SendingReport report{.account = account, .address = {}};
  const auto found = accounts_.find(account);
  if (found == accounts_.end()) return report;
  auto usage = found->second;
  advance(usage, now());
  const auto hour = sum(usage.hour);
  const auto day = sum(usage.day);
  report.address = usage.address;
  report.messages_hour = hour.messages;
  report.recipients_hour = hour.recipients;
  report.messages_day = day.messages;
  report.recipients_day = day.recipients;
  report.refused = usage.refused;
  report.since = usage.refused != 0 ? usage.since : 0;
  return report;
}

std::vector<SendingReport> SendingLimits::refused() const {
  std::vector<std::uint64_t> numbers;
  {
    const std::lock_guard lock(mutex_);
    const auto time = now();
    for (const auto& [number, usage] : accounts_) {
      if (usage.refused != 0 && time - usage.since <= kDay) numbers.push_back(number);
    }
  }
  std::vector<SendingReport> reports;
  reports.reserve(numbers.size());
  for (const auto number : numbers) reports.push_back(usage(number));
  std::ranges::sort(reports,
                    [](const auto& a, const auto& b) { return a.refused != b.refused ? a.refused > b.refused : a.account < b.account; });
  return reports;
}

void SendingLimits::forgive(std::uint64_t account) {
  const std::lock_guard lock(mutex_);
  accounts_.erase(account);
}

std::string SendingLimits::snapshot() const {
  std::string out(kMagic);
  put_u8(out, kVersion);
  const std::lock_guard lock(mutex_);
  put_varint(out, accounts_.size());
  for (const auto& [number, usage] : accounts_) {
    put_varint(out, number);
    put_varint(out, static_cast<std::uint64_t>(usage.stamp));
    put_counts(out, usage.hour);
    put_counts(out, usage.day);
    put_string(out, usage.address);
    put_varint(out, usage.refused);
    put_varint(out, static_cast<std::uint64_t>(usage.since));
  }
  put_u32(out, crc32c(out));
  return out;
}

Result<void> SendingLimits::restore(std::string_view octets) {
  const auto damaged = [] { return fail(Fault::corrupt, "the sending limits were damaged", "", "malformed snapshot"); };
  if (octets.size() < kMagic.size() + 5 || !octets.starts_with(kMagic)) return damaged();
  const auto content = octets.substr(0, octets.size() - 4);
  if (Decoder(octets.substr(content.size())).u32() != crc32c(content)) return damaged();
  Decoder in(content.substr(kMagic.size()));
  if (in.u8() != kVersion) return damaged();
  std::unordered_map<std::uint64_t, Usage> accounts;
  const auto time = now();
  for (auto count = in.varint(); count > 0 && in.ok(); --count) {
    const auto number = in.varint();
    Usage usage;
    usage.stamp = static_cast<std::int64_t>(in.varint());
    read_counts(in, usage.hour);
    read_counts(in, usage.day);
    usage.address = in.string();
    usage.refused = static_cast<std::uint32_t>(in.varint());
    usage.since = static_cast<std::int64_t>(in.varint());
    if (in.ok() && time - usage.stamp <= kDay + kDayStep) accounts.emplace(number, std::move(usage));
  }
  if (!in.done()) return damaged();
  const std::lock_guard lock(mutex_);
  accounts_ = std::move(accounts);
  return {};
}

Result<void> SendingLimits::save(const std::string& path) const {
  const auto octets = snapshot();
  const auto temporary = path + ".new";
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0 || !write_all(file.get(), octets) || ::fdatasync(file.get()) != 0) return file_error("write", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return file_error("rename", path);
  return {};
}

Result<void> SendingLimits::load(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return {};
    return file_error("open", path);
  }
  std::string octets;
  std::array<char, 64 * 1024> buffer{};
  while (octets.size() < kMaxFile) {
    const auto n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", path);
    if (n == 0) break;
    octets.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return restore(octets);
}

}  // namespace relais::antispam
