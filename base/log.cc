// Formats log lines on the caller's thread and writes them on one of its own.
#include "base/log.h"

#include "base/ascii.h"
#include "base/metrics.h"
#include "base/random.h"

#include <atomic>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include <unistd.h>

namespace relais::log {
namespace {

constexpr std::size_t kMaxQueued = 4 * 1024 * 1024;           // octets; lines beyond are dropped and counted
constexpr std::size_t kMaxValue = 1024;                       // octets of one value; the rest is cut
constexpr std::chrono::milliseconds kGatherTime{20};          // how long lines below warning may wait for company
constexpr std::chrono::seconds kFlushLimit{5};                // a reader of our standard error that is stuck must not keep us from ending

std::atomic<Level> minimum{Level::info};
std::atomic<Format> format{Format::logfmt};
std::atomic<void (*)(std::string_view)> capturing{nullptr};

constexpr std::string_view name_of(Level level) noexcept {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
  }
  return "unknown";
}

/// The queue and the thread that empties it to standard error.
class Writer {
 public:
  Writer() : thread_([this] { work(); }) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void put(std::string_view line, bool urgent) {
    const std::lock_guard lock(mutex_);
    if (queued_.size() + line.size() > kMaxQueued) {
      dropped_.add();
      return;
    }
    const bool was_empty = queued_.empty();
    queued_.append(line);
    if (urgent && !urgent_) {
      urgent_ = true;
      wake_.notify_one();
    } else if (was_empty) {
      wake_.notify_one();
    }
  }

  void flush() {
    std::unique_lock lock(mutex_);
    if (queued_.empty() && !writing_) return;
    const auto goal = taken_ + (queued_.empty() ? 0 : 1);
    urgent_ = true;
    wake_.notify_one();
    written_.wait_for(lock, kFlushLimit, [&] { return finished_ >= goal; });
  }

 private:
  void work() {
    std::string batch;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return !queued_.empty(); });
      wake_.wait_for(lock, kGatherTime, [this] { return urgent_; });
      batch.clear();
      batch.swap(queued_);
      urgent_ = false;
      writing_ = true;
      ++taken_;
      lock.unlock();
      write_all(batch);
      lock.lock();
      writing_ = false;
      finished_ = taken_;
      written_.notify_all();
    }
  }

  static void write_all(std::string_view octets) noexcept {
    while (!octets.empty()) {
      const auto n = ::write(STDERR_FILENO, octets.data(), octets.size());
      if (n < 0 && errno != EINTR && errno != EAGAIN) return;  // nowhere to say so
      if (n < 0 && errno == EAGAIN) std::this_thread::sleep_for(kGatherTime);
      if (n > 0) octets.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable written_;
  std::string queued_;  // guarded by mutex_, as is all below
  bool urgent_ = false;
  bool writing_ = false;
  std::uint64_t taken_ = 0;
  std::uint64_t finished_ = 0;
  metrics::Counter& dropped_ = metrics::counter("relais_log_dropped_total", "log lines dropped because the log queue was full");
  std::thread thread_;
};

// Never destroyed: other threads may log until the very end. What is queued then is flushed by an exit handler.
Writer& writer() {
  static auto* const instance = [] {
    auto* const made = new Writer;
    std::atexit([] { flush(); });
    return made;
  }();
  return *instance;
}

void append_two(std::string& out, int n) {
  out += static_cast<char>('0' + n / 10 % 10);
  out += static_cast<char>('0' + n % 10);
}

// 2026-01-31T12:34:56.789Z. The part up to the second is kept from line to line.
void append_time(std::string& out) {
  struct Cache {
    std::time_t second = -1;
    std::string text;
  };
  thread_local Cache cache;
  const auto now = std::chrono::system_clock::now();
  const auto second = std::chrono::system_clock::to_time_t(now);
  if (second != cache.second) {
    std::tm tm{};
    ::gmtime_r(&second, &tm);
    std::array<char, 32> text{};
    cache.text.assign(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &tm));
    cache.second = second;
  }
  const auto since = now - std::chrono::system_clock::from_time_t(second);
  const auto ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
  out.append(cache.text) += '.';
  out += static_cast<char>('0' + ms / 100 % 10);
  append_two(out, ms % 100);
  out += 'Z';
}

// Octets of the well-formed UTF-8 character at the front, 0 where there is none.
std::size_t character(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  return size != 0 && size <= text.size() && is_utf8(text.substr(0, size)) ? size : 0;
}

// Both formats take the escapes of JSON strings. An octet that is not UTF-8 is shown as \xNN (in JSON, whose escapes it is not,
// with the backslash escaped).
void append_escaped(std::string& out, std::string_view text, bool json) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const bool cut = text.size() > kMaxValue;
  if (cut) text = text.substr(0, kMaxValue);
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const auto size = character(text);
    const bool c1 = size == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text.front();
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += '\\';
      out += c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
    } else if (c < 0x20 || c == 0x7f || c1) {
      const auto code = c1 ? static_cast<unsigned char>(text[1]) : c;
      out += "\\u00";
      out += kHex[code >> 4];
      out += kHex[code & 15];
    } else if (size == 0) {
      out += json ? "\\\\x" : "\\x";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out.append(text.substr(0, size));
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  if (cut) out += "...";
}

// True where logfmt can show the value as it is.
bool is_plain(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxValue && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\'; });
}

void append_field(std::string& out, const Field& field, Format as) {
  if (as == Format::json) {
    out.append(out.back() == '{' ? "\"" : ",\"").append(field.key).append("\":");
    if (!field.is_number) out += '"';
  } else {
    if (!out.empty()) out += ' ';
    out.append(field.key) += '=';
  }
  if (field.is_number) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), field.number).ptr;
    out.append(digits.data(), end);
  } else if (as == Format::json) {
    append_escaped(out, field.text, true);
    out += '"';
  } else if (is_plain(field.text)) {
    out.append(field.text);
  } else {
    out += '"';
    append_escaped(out, field.text, false);
    out += '"';
  }
}

void write_event(Level level, std::string_view name, std::initializer_list<Field> first, std::initializer_list<Field> fields) {
  thread_local std::string line;
  thread_local std::string time;
  const auto as = format.load(std::memory_order_relaxed);
  line.clear();
  time.clear();
  append_time(time);
  if (as == Format::json) line += '{';
  append_field(line, {"ts", time}, as);
  append_field(line, {"level", name_of(level)}, as);
  append_field(line, {"event", name}, as);
  for (const auto& field : first) append_field(line, field, as);
  for (const auto& field : fields) append_field(line, field, as);
  if (as == Format::json) line += '}';
  if (auto* const sink = capturing.load(std::memory_order_acquire); sink != nullptr) {
    sink(line);
    return;
  }
  line += '\n';
  writer().put(line, level >= Level::warning);
}

}  // namespace

void configure(Level level, Format as) {
  minimum.store(level, std::memory_order_relaxed);
  format.store(as, std::memory_order_relaxed);
}

bool enabled(Level level) noexcept { return level >= minimum.load(std::memory_order_relaxed); }

void event(Level level, std::string_view name, std::initializer_list<Field> fields) {
  if (enabled(level)) write_event(level, name, {}, fields);
}

void flush() { writer().flush(); }
void capture(void (*sink)(std::string_view line)) { capturing.store(sink, std::memory_order_release); }

void Session::event(Level level, std::string_view name, std::initializer_list<Field> fields) const {
  if (enabled(level)) write_event(level, name, {{"session", id_}, {"proto", protocol_}, {"peer", peer_}}, fields);
}

std::string new_session_id() { return random_id(12); }

}  // namespace relais::log
