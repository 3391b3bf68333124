// Opens, appends to, syncs and removes segment files.
#include "storage/engine/segments.h"

#include "base/check.h"
#include "base/log.h"
#include "storage/engine/errors.h"
#include "storage/engine/index.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>

namespace relais::storage {
namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr std::size_t kDigits = 8;

/// What a failed write or creation means: full is a passing state, anything else leaves the disk's state unknown.
Error write_error(std::string_view what, int error) {
  const auto detail = disk_error(what, error).detail;
  return is_full(error) ? storage_full(detail) : read_only(detail);
}

Result<void> sync_folder(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(disk_error("open " + path.string(), errno));
  const int rc = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (rc != 0) return fail(read_only(disk_error("fsync " + path.string(), error).detail));
  return {};
}

}  // namespace

SegmentFile::~SegmentFile() { ::close(fd_); }

// The committer and the checkpointer may both want it. The kernel tells an error to the first who asks through this descriptor; whoever
// comes next must hear of it too.
Result<void> SegmentFile::sync(FaultInjector* faults) const {
  const std::lock_guard lock(sync_mutex_);
  if (sync_error_ == 0 && faults != nullptr) sync_error_ = faults->fail_at(FaultPoint::segment_sync);
  if (sync_error_ == 0 && ::fdatasync(fd_) != 0) sync_error_ = errno;
  if (sync_error_ != 0) return fail(read_only(disk_error("fdatasync segment " + std::to_string(number_), sync_error_).detail));
  return {};
}

// ---- SegmentFolder

SegmentFolder::SegmentFolder(std::filesystem::path path, const ShardUuid& shard, std::uint32_t max_open)
    : path_(std::move(path)), shard_(shard), max_open_(std::max(max_open, 4U)) {
  struct statfs fs{};
  if (::statfs(path_.c_str(), &fs) == 0) in_memory_ = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
}

std::filesystem::path SegmentFolder::file(std::uint32_t number) const {
  std::array<char, 24> name{};
  std::snprintf(name.data(), name.size(), "%08u.seg", number);
  return path_ / name.data();
}

std::shared_ptr<const SegmentFile> SegmentFolder::opened(std::uint32_t number) const {
  const std::shared_lock lock(mutex_);
  const auto found = open_.find(number);
  if (found == open_.end()) return nullptr;
  found->second->used_.store(clock_.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  return found->second;
}

std::shared_ptr<const SegmentFile> SegmentFolder::keep(int fd, std::uint32_t number) const {
  auto fresh = std::make_shared<const SegmentFile>(fd, number);
  const std::lock_guard lock(mutex_);
  const auto [place, inserted] = open_.emplace(number, fresh);
  if (!inserted) return place->second;  // another thread was quicker
  fresh->used_.store(clock_.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  if (open_.size() > max_open_) {
    const auto oldest =
        std::ranges::min_element(open_, {}, [](const auto& entry) { return entry.second->used_.load(std::memory_order_relaxed); });
    if (oldest->first != number) open_.erase(oldest);
  }
  return fresh;
}

Result<std::shared_ptr<const SegmentFile>> SegmentFolder::open(std::uint32_t number) const {
  if (auto already = opened(number)) return already;
  const auto name = file(number);
  const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return fail(damaged("segment " + std::to_string(number) + " is missing"));
    return fail(disk_error("open " + name.string(), errno));
  }
  std::array<char, kFileHeaderSize> octets{};
  const auto got = ::pread(fd, octets.data(), octets.size(), 0);
  if (got < 0) {
    const int error = errno;
    ::close(fd);
    return fail(disk_error("read " + name.string(), error));
  }
  const auto header = decode_file_header({octets.data(), static_cast<std::size_t>(got)});
  if (!header || header->segment != number || header->shard != shard_) {
    ::close(fd);
    return fail(
        damaged("segment " + std::to_string(number) + ": " + (header ? "belongs to another shard or place" : header.error().detail)));
  }
  auto kept = keep(fd, number);
  // Compaction may have removed it since it was opened: then nobody must find it here, or its space would stay in use.
  if (struct stat status{}; ::fstat(kept->fd(), &status) == 0 && status.st_nlink == 0) forget(number);
  return kept;
}

void SegmentFolder::forget(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  open_.erase(number);
}

Result<std::shared_ptr<const SegmentFile>> SegmentFolder::create(std::uint32_t number, FaultInjector* faults) {
  const auto name = file(number);
  int error = faults != nullptr ? faults->fail_at(FaultPoint::segment_create) : 0;
  const int fd = error != 0 ? -1 : ::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (error == 0) error = errno;
    if (is_full(error)) return fail(storage_full(disk_error("create " + name.string(), error).detail));
    return fail(disk_error("create " + name.string(), error));
  }
  const auto header = encode_file_header({.segment = number, .shard = shard_});
  if (const auto wrote = ::pwrite(fd, header.data(), header.size(), 0); wrote != static_cast<ssize_t>(header.size())) {
    error = wrote < 0 ? errno : ENOSPC;
    ::close(fd);
    ::unlink(name.c_str());
    return fail(write_error("write " + name.string(), error));
  }
  // The header is on disk before the first row can name the file: a segment that compaction has just begun may stay empty for long.
  auto synced =
      ::fdatasync(fd) == 0 ? sync_folder(path_) : Result<void>(fail(read_only(disk_error("fdatasync " + name.string(), errno).detail)));
  if (!synced) {
    ::close(fd);
    ::unlink(name.c_str());
    return fail(std::move(synced).error());
  }
  forget(number);  // of an earlier file of this name that was given up
  return keep(fd, number);
}

Result<std::shared_ptr<const SegmentFile>> SegmentFolder::open_for_append(std::uint32_t number, std::uint64_t length) {
  RELAIS_TRY(const auto verified, open(number));
  const auto name = file(number);
  const int fd = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return fail(disk_error("open " + name.string(), errno));
  auto out = std::make_shared<const SegmentFile>(fd, number);
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail(disk_error("stat " + name.string(), errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < length) return fail(damaged("segment " + std::to_string(number) + " is shorter than what was acknowledged"));
  if (size > length && (::ftruncate(fd, static_cast<off_t>(length)) != 0 || ::fsync(fd) != 0))
    return fail(disk_error("cut " + name.string(), errno));
  return out;
}

Result<void> SegmentFolder::restore(std::uint32_t number, std::uint64_t offset, std::string_view record, FaultInjector* faults) {
  const auto name = file(number);
  if (const int error = faults != nullptr ? faults->fail_at(FaultPoint::segment_write) : 0; error != 0)
    return fail(write_error("write " + name.string(), error));
  const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(write_error("open " + name.string(), errno));
  const SegmentFile closes(fd, number);
  const auto expected = encode_file_header({.segment = number, .shard = shard_});
  std::array<char, kFileHeaderSize> octets{};
  const auto got = ::pread(fd, octets.data(), octets.size(), 0);
  if (got < 0) return fail(disk_error("read " + name.string(), errno));
  const std::string_view there(octets.data(), static_cast<std::size_t>(got));
  if (const auto header = decode_file_header(there); header && there != expected)
    return fail(damaged("segment " + std::to_string(number) + " belongs to another shard or place"));
  // Written even where the same octets are read: after a failed sync they may be in memory alone, and what is not written anew the kernel
  // does not write to the disk any more.
  const auto put = [fd, &name](std::uint64_t at, std::string_view part) -> Result<void> {
    while (!part.empty()) {
      const auto wrote = ::pwrite(fd, part.data(), part.size(), static_cast<off_t>(at));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return fail(write_error("write " + name.string(), wrote < 0 ? errno : ENOSPC));
      part.remove_prefix(static_cast<std::size_t>(wrote));
      at += static_cast<std::uint64_t>(wrote);
    }
    return {};
  };
  if (there != expected) RELAIS_TRY_VOID(put(0, expected));
  return put(offset, record);
}

Result<void> SegmentFolder::sync(std::uint32_t number, FaultInjector* faults) {
  const auto name = file(number);
  const int fd = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return fail(disk_error("open " + name.string(), errno));
  const SegmentFile closes(fd, number);
  RELAIS_TRY_VOID(closes.sync(faults));
  return sync_folder(path_);
}

Result<void> SegmentFolder::remove(std::uint32_t number) {
  const auto name = file(number);
  if (::unlink(name.c_str()) != 0 && errno != ENOENT) return fail(disk_error("unlink " + name.string(), errno));
  forget(number);
  return sync_folder(path_);
}

Result<std::vector<std::uint32_t>> SegmentFolder::list() const {
  std::vector<std::uint32_t> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    std::uint32_t number = 0;
    if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) continue;
    const auto [stop, ec] = std::from_chars(name.data(), name.data() + kDigits, number);
    if (ec == std::errc{} && stop == name.data() + kDigits) numbers.push_back(number);
  }
  if (error) return fail(disk_error("list " + path_.string(), error.value()));
  std::ranges::sort(numbers);
  return numbers;
}

Result<bool> SegmentFolder::belongs_here(std::uint32_t number) const {
  const auto name = file(number);
  const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(disk_error("open " + name.string(), errno));
  std::array<char, kFileHeaderSize> octets{};
  const auto got = ::pread(fd, octets.data(), octets.size(), 0);
  const int error = errno;
  ::close(fd);
  if (got < 0) return fail(disk_error("read " + name.string(), error));
  const auto header = decode_file_header({octets.data(), static_cast<std::size_t>(got)});
  return !header || header->shard == shard_;
}

std::optional<std::uint64_t> SegmentFolder::file_size(std::uint32_t number) const {
  struct stat status{};
  if (::stat(file(number).c_str(), &status) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

// ---- SegmentWriter

SegmentWriter::SegmentWriter(SegmentFolder& folder, std::uint64_t segment_size, std::uint32_t segment, std::uint64_t length,
                             FaultInjector* faults)
    : folder_(folder), segment_size_(segment_size), faults_(faults), segment_(segment), length_(length) {}

void SegmentWriter::begin() {
  RELAIS_CHECK(pending_.empty());
  mark_segment_ = segment_;
  mark_length_ = length_;
  touched_.clear();
}

Result<BlobRow> SegmentWriter::add(std::span<const std::string_view> pieces) {
  std::uint64_t octets = 0;
  for (const auto piece : pieces) octets += piece.size();
  const bool fits = length_ + octets <= segment_size_ || length_ <= kFileHeaderSize;
  if (segment_ == 0 || !fits) {
    RELAIS_TRY_VOID(roll());
  } else if (!file_) {
    RELAIS_TRY(file_, folder_.open_for_append(segment_, length_));
  }
  const BlobRow place{.segment = segment_, .offset = length_, .length = octets, .references = 1};
  for (const auto piece : pieces) {
    if (piece.empty()) continue;
    if (pending_.size() == IOV_MAX) RELAIS_TRY_VOID(write());
    pending_.push_back({const_cast<char*>(piece.data()), piece.size()});
    pending_octets_ += piece.size();
    length_ += piece.size();
  }
  return place;
}

Result<void> SegmentWriter::roll() {
  if (file_) RELAIS_TRY_VOID(sync());
  RELAIS_TRY(auto fresh, folder_.create(segment_ + 1, faults_));
  file_ = std::move(fresh);
  ++segment_;
  length_ = kFileHeaderSize;
  return {};
}

Result<void> SegmentWriter::write() {
  if (pending_.empty()) return {};
  const int error = faults_ != nullptr ? faults_->fail_at(FaultPoint::segment_write) : 0;
  if (error != 0) return fail(write_error("write segment", error));
  auto at = static_cast<off_t>(length_ - pending_octets_);
  for (auto next = pending_.begin(); next != pending_.end();) {
    const auto wrote = ::pwritev(file_->fd(), &*next, static_cast<int>(pending_.end() - next), at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail(write_error("write segment", wrote < 0 ? errno : ENOSPC));
    at += wrote;
    auto done = static_cast<std::size_t>(wrote);
    for (; next != pending_.end() && done >= next->iov_len; ++next) done -= next->iov_len;
    if (done != 0) {  // a short write: the disk is filling up; go on, the next one says how it stands
      next->iov_base = static_cast<char*>(next->iov_base) + done;
      next->iov_len -= done;
    }
  }
  pending_.clear();
  pending_octets_ = 0;
  return {};
}

Result<void> SegmentWriter::flush() {
  RELAIS_TRY_VOID(write());
  if (touched_.empty() || touched_.back().first != segment_) touched_.emplace_back(segment_, length_);
  touched_.back().second = length_;
  return {};
}

Result<void> SegmentWriter::sync() {
  RELAIS_TRY_VOID(flush());
  return file_->sync(faults_);
}

void SegmentWriter::rewind() {
  pending_.clear();
  pending_octets_ = 0;
  touched_.clear();
  if (segment_ != mark_segment_) {
    file_.reset();  // the segment at the mark was synced when it was left
    for (; segment_ > mark_segment_; --segment_)
      if (auto removed = folder_.remove(segment_); !removed)  // what stays is overwritten when its number comes up again
        log::event(log::Level::warning, "storage.segment_stays", {{"segment", segment_}, {"detail", removed.error().detail}});
  }
  if (file_ && length_ != mark_length_ && ::ftruncate(file_->fd(), static_cast<off_t>(mark_length_)) != 0) {
    // Harmless: the next group overwrites it, and nothing beyond the acknowledged length is ever read.
    log::event(log::Level::warning, "storage.segment_stays", {{"segment", segment_}, {"detail", disk_error("ftruncate", errno).detail}});
  }
  length_ = mark_length_;
}

}  // namespace relais::storage
