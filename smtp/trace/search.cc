// The search over trace files: which messages, newest first, and then all that happened to them.
#include "smtp/trace/search.h"

#include "base/ascii.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace relais::smtp {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWindow = 1024 * 1024;  // octets looked through at a time on the way back
constexpr std::size_t kFewIds = 4;            // so many are looked for one by one; more by a walk over the lines
constexpr unsigned kFilesBefore =
    1;  // what was refused in a session stands before its message was received: in the same hour or the one before
constexpr std::string_view kLineStart = "{\"id\":\"";

/// A file in memory as it was when it was opened.
class MappedFile {
 public:
  static Result<MappedFile> open(const fs::path& path) {
    MappedFile mapped;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return mapped;  // removed by age meanwhile
    struct stat about{};
    if (fd < 0 || ::fstat(fd, &about) != 0) return broken(fd);
    if (about.st_size > 0) {
      void* at = ::mmap(nullptr, static_cast<std::size_t>(about.st_size), PROT_READ, MAP_SHARED, fd, 0);
      if (at == MAP_FAILED) return broken(fd);
      mapped.octets_ = {static_cast<const char*>(at), static_cast<std::size_t>(about.st_size)};
    }
    ::close(fd);
    // What is behind the last line end is still being written.
    const auto end = mapped.octets_.rfind('\n');
    mapped.lines_ = mapped.octets_.substr(0, end == std::string_view::npos ? 0 : end + 1);
    return mapped;
  }
  MappedFile(MappedFile&& other) noexcept : octets_(std::exchange(other.octets_, {})), lines_(other.lines_) {}
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile() {
    if (!octets_.empty()) ::munmap(const_cast<char*>(octets_.data()), octets_.size());  // NOLINT: munmap takes void*
  }
  /// Whole lines.
  std::string_view lines() const noexcept { return lines_; }

 private:
  MappedFile() = default;
  static std::unexpected<Error> broken(int fd) {
    const std::string reason = std::strerror(errno);
    if (fd >= 0) ::close(fd);
    return fail(Fault::temporary, "a trace file cannot be read", {}, reason);
  }
  std::string_view octets_;
  std::string_view lines_;
};

// memmem, which glibc has made fast for long texts.
std::size_t find(std::string_view text, std::string_view needle, std::size_t from) noexcept {
  if (from >= text.size()) return std::string_view::npos;
  const auto* hit = static_cast<const char*>(::memmem(text.data() + from, text.size() - from, needle.data(), needle.size()));
  return hit == nullptr ? std::string_view::npos : static_cast<std::size_t>(hit - text.data());
}

std::string_view line_around(std::string_view text, std::size_t at) noexcept {
  const auto before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const auto begin = before == std::string_view::npos ? 0 : before + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

/// What is asked for, in the ways it may stand in a line.
struct Question {
  explicit Question(std::string_view asked) {
    asked = trim(asked);
    if (asked.starts_with('<')) asked.remove_prefix(1);
    if (asked.ends_with('>')) asked.remove_suffix(1);
    exact = asked;
    folded = to_lower(asked);
    needles.push_back("\"" + trace_text(exact) + "\"");
    if (folded != exact) needles.push_back("\"" + trace_text(folded) + "\"");
  }
  bool meant_by(const TraceEvent& event) const {
    return event.id == exact || event.message_id == exact || event.parent == exact || (!folded.empty() && event.from == folded) ||
           std::ranges::find(event.to, folded) != event.to.end();
  }
  std::string exact;
  std::string folded;
  std::vector<std::string> needles;
};

/// Collects the ids of messages, newest first.
class Finder {
 public:
  Finder(const Question& question, const TraceQuery& query) : question_(question), query_(query) {}

  /// @return false once there is nothing more to look for in older files
  bool look_through(std::string_view lines) {
    for (auto end = lines.size(); end > 0 && !full();) {
      auto begin = end > kWindow ? end - kWindow : 0;
      if (begin != 0) {
        // Line starts are where windows meet. A line longer than a window makes the window longer.
        const auto before = lines.rfind('\n', begin - 1);
        begin = before == std::string_view::npos ? 0 : before + 1;
      }
      look_at(lines.substr(begin, end - begin));
      end = begin;
    }
    return !full() && !origin_seen_;
  }
  std::vector<std::string> ids() && { return std::move(ids_); }

 private:
  bool full() const noexcept { return ids_.size() >= query_.max_messages; }

  void look_at(std::string_view window) {
    std::vector<std::size_t> hits;
    for (const auto& needle : question_.needles) {
      for (auto at = find(window, needle, 0); at != std::string_view::npos; at = find(window, needle, at + needle.size()))
        hits.push_back(at);
    }
    std::ranges::sort(hits);
    std::string_view last;
    for (auto i = hits.size(); i-- > 0 && !full();) {
      const auto line = line_around(window, hits[i]);
      if (line.data() == last.data()) continue;
      last = line;
      note(line);
    }
  }

  void note(std::string_view line) {
    const auto event = parse_trace_line(line);
    if (!event || !question_.meant_by(*event)) return;
    if (query_.since != 0 && event->time < query_.since * 1'000) return;
    // An id is made once: nothing about it, and nothing that came from it, is older than its first event.
    if (event->kind == TraceKind::received && event->id == question_.exact) origin_seen_ = true;
    if (std::ranges::find(ids_, event->id) == ids_.end()) ids_.push_back(event->id);
  }

  const Question& question_;
  const TraceQuery& query_;
  std::vector<std::string> ids_;
  bool origin_seen_ = false;
};

// Threads write past each other by moments: nearly in order as it is. Events of one time keep their order.
void in_order_of_time(std::vector<TraceEvent>& events) {
  for (std::size_t i = 1; i < events.size(); ++i) {
    auto at = i;
    while (at > 0 && events[at - 1].time > events[i].time) --at;
    if (at == i) continue;
    const auto begin = events.begin();
    std::rotate(begin + static_cast<std::ptrdiff_t>(at), begin + static_cast<std::ptrdiff_t>(i), begin + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

/// Collects all events of some messages; files come newest first.
class Collector {
 public:
  Collector(const std::vector<std::string>& ids, std::size_t max_events) : max_events_(max_events) {
    for (const auto& id : ids) {
      index_.emplace(id, messages_.size());
      messages_.push_back({.id = id, .events = {}, .cut = false});
    }
    origin_.resize(messages_.size());
    fresh_.resize(messages_.size());
  }

  /// @return false where every message's first event was seen
  bool look_through(std::string_view lines) {
    if (messages_.size() <= kFewIds) {
      for (std::size_t i = 0; i < messages_.size(); ++i) look_for(lines, i);
    } else {
      for (auto& files : origin_) files += files != 0 ? 1 : 0;
      walk(lines);
    }
    for (std::size_t i = 0; i < messages_.size(); ++i) put_in_front(i);
    return !std::ranges::all_of(origin_, [](unsigned files) { return files > kFilesBefore; });
  }
  std::vector<TracedMessage> messages() && {
    for (auto& message : messages_) in_order_of_time(message.events);
    return std::move(messages_);
  }

 private:
  void look_for(std::string_view lines, std::size_t i) {
    if (origin_[i] != 0 && ++origin_[i] > kFilesBefore + 1) return;
    const auto needle = std::string(kLineStart) + trace_text(messages_[i].id) + "\"";
    for (auto at = find(lines, needle, 0); at != std::string_view::npos; at = find(lines, needle, at + needle.size())) {
      if (at == 0 || lines[at - 1] == '\n') take(i, line_around(lines, at));
    }
  }

  void walk(std::string_view lines) {
    while (!lines.empty()) {
      const auto line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(lines.size(), line.size() + 1));
      if (!line.starts_with(kLineStart)) continue;
      const auto rest = line.substr(kLineStart.size());
      const auto found = index_.find(rest.substr(0, rest.find('"')));
      if (found != index_.end()) take(found->second, line);
    }
  }

  void take(std::size_t i, std::string_view line) {
    auto& events = fresh_[i];
    if (events.size() >= max_events_) {
      messages_[i].cut = true;
      return;
    }
    auto event = parse_trace_line(line);
    if (!event) return;
    if (event->kind == TraceKind::received) origin_[i] = std::max(origin_[i], 1U);
    events.push_back(std::move(*event));
  }

  void put_in_front(std::size_t i) {
    auto& message = messages_[i];
    auto& events = fresh_[i];
    if (events.empty()) return;
    std::ranges::move(message.events, std::back_inserter(events));
    if (events.size() > max_events_) {
      events.resize(max_events_);
      message.cut = true;
    }
    message.events = std::exchange(events, {});
  }

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  const std::size_t max_events_;
  std::vector<TracedMessage> messages_;
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> index_;
  std::vector<unsigned> origin_;  ///< files looked through since, and including, the one with the message's `received`; 0: not seen yet
  std::vector<std::vector<TraceEvent>> fresh_;  ///< of the file at hand
};

bool is_trace_file(std::string_view name) noexcept {
  return name.size() == 14 && name.ends_with(".log") && std::ranges::all_of(name.substr(0, 10), [](char c) { return ascii_digit(c); });
}

// Newest first. A file is named after the hour in which its lines were written, which is that of the events or just after.
Result<std::vector<fs::path>> trace_files(const fs::path& directory, std::int64_t since) {
  std::string oldest;
  if (since != 0) {
    const auto second = static_cast<std::time_t>(since);
    std::tm tm{};
    char text[16] = {};
    ::gmtime_r(&second, &tm);
    oldest.assign(text, std::strftime(text, sizeof text, "%Y%m%d%H", &tm));
  }
  std::vector<fs::path> files;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(directory, ec)) {
    const auto name = entry.path().filename().string();
    if (is_trace_file(name) && name.substr(0, 10) >= oldest) files.push_back(entry.path());
  }
  if (ec && ec != std::errc::no_such_file_or_directory) return fail(Fault::temporary, "the trace cannot be read", {}, ec.message());
  std::ranges::sort(files, std::greater<>{});
  return files;
}

}  // namespace

Result<std::vector<TracedMessage>> search_trace(const fs::path& directory, const TraceQuery& query) {
  const Question question(query.what);
  if (question.exact.empty()) return fail(Fault::syntax, "what shall be looked for? A trace id, a Message-ID or an address");
  RELAIS_TRY(const auto recent, trace_files(directory, query.since));
  Finder finder(question, query);
  for (const auto& path : recent) {
    RELAIS_TRY(const auto file, MappedFile::open(path));
    if (!finder.look_through(file.lines())) break;
  }
  const auto ids = std::move(finder).ids();
  if (ids.empty()) return std::vector<TracedMessage>{};
  RELAIS_TRY(const auto all, trace_files(directory, 0));
  Collector collector(ids, query.max_events);
  for (const auto& path : all) {
    RELAIS_TRY(const auto file, MappedFile::open(path));
    if (!collector.look_through(file.lines())) break;
  }
  return std::move(collector).messages();
}

}  // namespace relais::smtp
