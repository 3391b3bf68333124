// The trace files' writer: lines are made on the caller's thread and written by one of its own.
#include "smtp/trace/log.h"

#include "base/log.h"
#include "base/metrics.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace relais::smtp {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kFlushLimit{5};
constexpr std::int64_t kHour = 3'600;    // seconds in a file
constexpr std::size_t kNameDigits = 10;  // YYYYMMDDHH

std::string file_name(std::int64_t hour) {
  const auto second = static_cast<std::time_t>(hour * kHour);
  std::tm tm{};
  ::gmtime_r(&second, &tm);
  char text[32] = {};
  return {text, std::strftime(text, sizeof text, "%Y%m%d%H.log", &tm)};
}

class NoTrace final : public TraceLog {
 public:
  void add(TraceEvent) override {}
};

}  // namespace

struct FileTraceLog::Impl {
  Impl(TraceOptions chosen, const Clock& time)
      : options(std::move(chosen)),
        clock(time),
        written(metrics::counter("relais_smtp_trace_events_total", "trace events taken")),
        dropped(metrics::counter("relais_smtp_trace_dropped_total", "trace events lost because the buffer or the disk was full")),
        thread([this] { work(); }) {}
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
    close_file();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void add(TraceEvent event) {
    thread_local std::string lines;
    if (event.time == 0) event.time = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now().time_since_epoch()).count();
    lines.clear();
    append_trace_lines(lines, event);
    const std::lock_guard lock(mutex);
    if (buffered.size() + lines.size() > options.max_buffered) {
      dropped.add();
      return;
    }
    written.add();
    const bool was_empty = buffered.empty();
    buffered.append(lines);
    if (was_empty) wake.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex);
    if (buffered.empty() && !writing) return;
    const auto goal = taken + (buffered.empty() ? 0 : 1);
    urgent = true;
    wake.notify_one();
    progress.wait_for(lock, kFlushLimit, [&] { return finished >= goal; });
  }

  void work() {
    std::string batch;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return !buffered.empty() || stopping; });
      if (buffered.empty()) return;
      wake.wait_for(lock, options.gather, [this] { return urgent || stopping; });
      batch.clear();
      batch.swap(buffered);
      urgent = false;
      writing = true;
      ++taken;
      lock.unlock();
      write_batch(batch);
      lock.lock();
      writing = false;
      finished = taken;
      progress.notify_all();
    }
  }

  // ---- the writer's thread only
  void write_batch(std::string_view lines) {
    const auto hour = clock.seconds() / kHour;
    if (hour != file_hour || was_removed()) open_file(hour);
    if (file < 0) return lost(lines);
    if (torn) mend();
    while (!lines.empty()) {
      const auto n = ::write(file, lines.data(), lines.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        const auto reason = errno;
        torn = true;  // a line may be there in part
        if (!complained) log::event(log::Level::error, "trace not written", {{"detail", std::strerror(reason)}});
        complained = true;
        return lost(lines);
      }
      lines.remove_prefix(static_cast<std::size_t>(n));
    }
    complained = false;
  }

  void lost(std::string_view lines) { dropped.add(static_cast<std::uint64_t>(std::ranges::count(lines, '\n'))); }

  bool was_removed() const noexcept {
    struct stat about{};
    return file >= 0 && (::fstat(file, &about) != 0 || about.st_nlink == 0);
  }

  void open_file(std::int64_t hour) {
    close_file();
    file_hour = hour;
    std::error_code ignored;
    fs::create_directories(options.directory, ignored);
    const auto path = options.directory / file_name(hour);
    file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) {
      log::event(log::Level::error, "trace file cannot be opened", {{"detail", std::strerror(errno)}});
      file_hour = -1;  // tried again with the next batch
      return;
    }
    mend();
    remove_old(hour);
  }

  // A process that was killed, or a full disk, may have left the last line without its end: the next one must not continue it.
  void mend() {
    struct stat about{};
    char last = '\n';
    if (::fstat(file, &about) == 0 && about.st_size > 0 && ::pread(file, &last, 1, about.st_size - 1) == 1 && last != '\n') {
      torn = ::write(file, "\n", 1) != 1;
    } else {
      torn = false;
    }
  }

  void remove_old(std::int64_t hour) {
    if (options.retention.count() == 0) return;
    const auto oldest = file_name(hour - options.retention.count() * 24);
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(options.directory, ignored)) {
      const auto name = entry.path().filename().string();
      const bool ours = name.size() == oldest.size() && name.ends_with(".log") &&
                        std::all_of(name.begin(), name.begin() + kNameDigits, [](char c) { return c >= '0' && c <= '9'; });
      if (ours && name < oldest) fs::remove(entry.path(), ignored);
    }
  }

  void close_file() noexcept {
    if (file >= 0) ::close(file);
    file = -1;
  }

  // Constant after construction.
  const TraceOptions options;
  const Clock& clock;
  metrics::Counter& written;
  metrics::Counter& dropped;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable progress;
  std::string buffered;  // guarded by mutex, as are all down to finished
  bool urgent = false;
  bool stopping = false;
  bool writing = false;
  std::uint64_t taken = 0;
  std::uint64_t finished = 0;

  // The writer's thread only.
  int file = -1;
  std::int64_t file_hour = -1;
  bool torn = false;
  bool complained = false;

  std::thread thread;  // last: it uses all of the above
};

Result<std::unique_ptr<FileTraceLog>> FileTraceLog::open(TraceOptions options, const Clock& clock) {
  std::error_code ec;
  fs::create_directories(options.directory, ec);
  if (ec) return fail(Fault::temporary, "cannot make " + options.directory.string() + ": " + ec.message());
  return std::unique_ptr<FileTraceLog>(new FileTraceLog(std::make_unique<Impl>(std::move(options), clock)));
}

FileTraceLog::FileTraceLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileTraceLog::~FileTraceLog() = default;

void FileTraceLog::add(TraceEvent event) { impl_->add(std::move(event)); }
void FileTraceLog::flush() { impl_->flush(); }
const fs::path& FileTraceLog::directory() const noexcept { return impl_->options.directory; }

TraceLog& no_trace() {
  static NoTrace none;
  return none;
}

}  // namespace relais::smtp
