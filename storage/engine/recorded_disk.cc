// Records writes and syncs by standing in front of the C library's wrappers, and plays them back.
#include "storage/engine/recorded_disk.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <fstream>

namespace relais::storage::testing {
namespace {

constexpr std::size_t kSector = 512;
std::atomic<RecordedDisk*> recorder{nullptr};

void write_octets(std::string& content, std::uint64_t offset, std::string_view octets) {
  const auto end = static_cast<std::size_t>(offset) + octets.size();
  if (content.size() < end) content.resize(end);
  content.replace(static_cast<std::size_t>(offset), octets.size(), octets);
}

void apply_to(std::string& content, const DiskState::Change& change) {
  if (change.resize)
    content.resize(static_cast<std::size_t>(change.offset));
  else
    write_octets(content, change.offset, change.octets);
}

void save(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

}  // namespace

// ---- DiskState

void DiskState::write_all(const std::filesystem::path& to) const {
  std::mt19937 unused;
  write_after_power_cut(to, 1, unused);
}

void DiskState::write_after_power_cut(const std::filesystem::path& to, double probability, std::mt19937& random) const {
  std::bernoulli_distribution survives(probability);
  for (const auto& [folder, entries] : folders) {
    std::filesystem::create_directories(to / folder);
    auto names = entries.durable;
    for (const auto& change : entries.pending) {
      if (!survives(random)) continue;
      if (change.file)
        names.insert_or_assign(change.name, *change.file);
      else
        names.erase(change.name);
    }
    for (const auto& [name, id] : names) {
      const auto& file = files[id];
      auto content = file.durable;
      auto size = content.size();
      for (const auto& change : file.pending) {
        const auto end = static_cast<std::size_t>(change.offset) + change.octets.size();
        size = change.resize ? end : std::max(size, end);
        if (change.resize) {
          if (survives(random)) apply_to(content, change);
          continue;
        }
        for (std::size_t at = 0; at < change.octets.size();) {
          const auto sector = std::min(change.octets.size() - at, kSector - (static_cast<std::size_t>(change.offset) + at) % kSector);
          if (survives(random)) write_octets(content, change.offset + at, std::string_view(change.octets).substr(at, sector));
          at += sector;
        }
      }
      if (content.size() < size && probability < 1 && random() % 2 == 0) content.resize(size);  // the length is there, the octets are not
      save(to / folder / name, content);
    }
  }
}

// ---- RecordedDisk

RecordedDisk::RecordedDisk(std::filesystem::path folder, DiskState before)
    : folder_(std::move(folder)), files_(before.files.size()), state_(std::move(before)) {
  for (auto& file : state_.files)
    for (auto& change : file.pending) change.operation = 0;
  for (auto& [path, entries] : state_.folders) {
    for (auto& change : entries.pending) change.operation = 0;
    for (const auto& [name, id] : entries.durable) names_.insert_or_assign({path, name}, id);
    for (const auto& change : entries.pending) {
      if (change.file)
        names_.insert_or_assign({path, change.name}, *change.file);
      else
        names_.erase({path, change.name});
    }
  }
  operations_.emplace_back(Operation{.kind = Kind::mark, .number = ~std::uint64_t{0}});  // so that operation 0 is what was there before
  recorder = this;
}

RecordedDisk::~RecordedDisk() { recorder = nullptr; }

void RecordedDisk::note(std::uint64_t mark) {
  const std::lock_guard lock(mutex_);
  operations_.push_back({.kind = Kind::mark, .number = mark});
}

std::uint64_t RecordedDisk::now() const {
  const std::lock_guard lock(mutex_);
  return operations_.size();
}

/// Folder below the recorded one, and name.
std::optional<std::pair<std::string, std::string>> RecordedDisk::place_of(const char* path) const {
  const auto relative = std::filesystem::path(path).lexically_relative(folder_);
  if (relative.empty() || *relative.begin() == "..") return std::nullopt;
  const auto name = relative.filename().string();
  if (name == "lock" || name == "lock.mdb") return std::nullopt;
  return std::pair(relative.parent_path().string(), name);
}

void RecordedDisk::opened(int fd, const char* path, int flags) {
  const auto place = place_of(path);
  if (!place) return;
  const std::lock_guard lock(mutex_);
  if ((flags & O_DIRECTORY) != 0 || std::filesystem::is_directory(path)) {
    open_.insert_or_assign(fd, Open{std::nullopt, (std::filesystem::path(place->first) / place->second).string(), false});
    return;
  }
  auto found = names_.find(*place);
  if (found == names_.end()) {
    found = names_.emplace(*place, files_++).first;
    operations_.push_back({.kind = Kind::name, .file = found->second, .octets = place->second, .folder = place->first, .there = true});
  } else if ((flags & O_TRUNC) != 0) {
    operations_.push_back({.kind = Kind::resize, .file = found->second});
  }
  open_.insert_or_assign(fd, Open{found->second, {}, (flags & O_DSYNC) != 0});
}

bool RecordedDisk::knows(int fd) const {
  const std::lock_guard lock(mutex_);
  return open_.contains(fd);
}

void RecordedDisk::closed(int fd) {
  const std::lock_guard lock(mutex_);
  open_.erase(fd);
}

void RecordedDisk::wrote(int fd, std::uint64_t offset, std::string_view octets) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(fd);
  if (found == open_.end() || !found->second.file) return;
  operations_.push_back({.kind = Kind::write, .file = *found->second.file, .number = offset, .octets = std::string(octets)});
  if (found->second.synchronous) operations_.push_back({.kind = Kind::sync, .file = *found->second.file, .number = operations_.size()});
}

void RecordedDisk::resized(int fd, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(fd);
  if (found != open_.end() && found->second.file)
    operations_.push_back({.kind = Kind::resize, .file = *found->second.file, .number = size});
}

void RecordedDisk::removed(const char* path) {
  const auto place = place_of(path);
  if (!place) return;
  const std::lock_guard lock(mutex_);
  if (names_.erase(*place) != 0) operations_.push_back({.kind = Kind::name, .octets = place->second, .folder = place->first});
}

void RecordedDisk::synced(int fd, std::uint64_t begun) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(fd);
  if (found == open_.end()) return;
  if (found->second.file)
    operations_.push_back({.kind = Kind::sync, .file = *found->second.file, .number = begun});
  else
    operations_.push_back({.kind = Kind::sync_folder, .number = begun, .folder = found->second.folder});
}

const DiskState& RecordedDisk::at(std::uint64_t operations, std::vector<std::uint64_t>& marks) {
  const std::lock_guard lock(mutex_);
  recorder = nullptr;
  for (; applied_ < operations; ++applied_) {
    const auto& operation = operations_[static_cast<std::size_t>(applied_)];
    if (operation.kind == Kind::mark)
      marks.push_back(operation.number);
    else
      apply(operation);
  }
  return state_;
}

void RecordedDisk::apply(const Operation& operation) {
  if (state_.files.size() < files_) state_.files.resize(files_);
  auto& file = state_.files[operation.file];
  const auto early = [&operation](const auto& change) { return change.operation < operation.number; };
  switch (operation.kind) {
    case Kind::name:
      state_.folders[operation.folder].pending.push_back(
          {applied_, operation.octets, operation.there ? std::optional(operation.file) : std::nullopt});
      break;
    case Kind::write: file.pending.push_back({applied_, operation.number, operation.octets, false}); break;
    case Kind::resize: file.pending.push_back({applied_, operation.number, {}, true}); break;
    case Kind::sync:
      for (const auto& change : file.pending)
        if (early(change)) apply_to(file.durable, change);
      std::erase_if(file.pending, early);
      break;
    case Kind::sync_folder: {
      auto& entries = state_.folders[operation.folder];
      for (const auto& change : entries.pending) {
        if (!early(change)) continue;
        if (change.file)
          entries.durable.insert_or_assign(change.name, *change.file);
        else
          entries.durable.erase(change.name);
      }
      std::erase_if(entries.pending, early);
      break;
    }
    case Kind::mark: break;
  }
}

namespace {

int open_recorded(const char* path, int flags, mode_t mode) {
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  if (auto* const disk = recorder.load(); disk != nullptr && fd >= 0) disk->opened(fd, path, flags);
  return fd;
}

ssize_t pwrite_recorded(int fd, const void* octets, std::size_t size, off_t offset) {
  const auto wrote = ::syscall(SYS_pwrite64, fd, octets, size, offset);
  if (auto* const disk = recorder.load(); disk != nullptr && wrote > 0)
    disk->wrote(fd, static_cast<std::uint64_t>(offset), {static_cast<const char*>(octets), static_cast<std::size_t>(wrote)});
  return wrote;
}

ssize_t pwritev_recorded(int fd, const iovec* parts, int count, off_t offset) {
  const auto wrote = ::syscall(SYS_pwritev, fd, parts, count, offset, 0);
  if (auto* const disk = recorder.load(); disk != nullptr && wrote > 0) {
    std::string octets;
    for (int i = 0; i < count; ++i) octets.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    octets.resize(static_cast<std::size_t>(wrote));
    disk->wrote(fd, static_cast<std::uint64_t>(offset), octets);
  }
  return wrote;
}

/// write() and writev(), which go on at the file's position: LMDB's way.
ssize_t written_at_position(int fd, ssize_t wrote, const iovec* parts, int count) {
  auto* const disk = recorder.load();
  if (disk == nullptr || wrote <= 0 || !disk->knows(fd)) return wrote;
  std::string octets;
  for (int i = 0; i < count; ++i) octets.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  octets.resize(static_cast<std::size_t>(wrote));
  disk->wrote(fd, static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR) - wrote), octets);
  return wrote;
}

int ftruncate_recorded(int fd, off_t size) {
  const int rc = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (auto* const disk = recorder.load(); disk != nullptr && rc == 0) disk->resized(fd, static_cast<std::uint64_t>(size));
  return rc;
}

int sync_recorded(long call, int fd) {
  auto* const disk = recorder.load();
  if (disk == nullptr) return static_cast<int>(::syscall(call, fd));
  // While it is recorded nothing need be on the real disk.
  disk->synced(fd, disk->syncing());
  return 0;
}

}  // namespace
}  // namespace relais::storage::testing

// The wrappers of the C library, as this program and the libraries that it loads see them.
namespace recorded = relais::storage::testing;
extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(more, int)) : 0;
  va_end(more);
  return recorded::open_recorded(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(more, int)) : 0;
  va_end(more);
  return recorded::open_recorded(path, flags, mode);
}
int close(int fd) {
  if (auto* const disk = recorded::recorder.load()) disk->closed(fd);
  return static_cast<int>(::syscall(SYS_close, fd));
}
ssize_t pwrite(int fd, const void* octets, size_t size, off_t offset) { return recorded::pwrite_recorded(fd, octets, size, offset); }
ssize_t pwrite64(int fd, const void* octets, size_t size, off64_t offset) { return recorded::pwrite_recorded(fd, octets, size, offset); }
ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) { return recorded::pwritev_recorded(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t offset) { return recorded::pwritev_recorded(fd, parts, count, offset); }
ssize_t write(int fd, const void* octets, size_t size) {
  const iovec part{const_cast<void*>(octets), size};
  return recorded::written_at_position(fd, ::syscall(SYS_write, fd, octets, size), &part, 1);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  return recorded::written_at_position(fd, ::syscall(SYS_writev, fd, parts, count), parts, count);
}
int ftruncate(int fd, off_t size) noexcept { return recorded::ftruncate_recorded(fd, size); }
int ftruncate64(int fd, off64_t size) noexcept { return recorded::ftruncate_recorded(fd, size); }
int fdatasync(int fd) { return recorded::sync_recorded(SYS_fdatasync, fd); }
int fsync(int fd) { return recorded::sync_recorded(SYS_fsync, fd); }
int unlink(const char* path) noexcept {
  const int rc = static_cast<int>(::syscall(SYS_unlink, path));
  if (auto* const disk = recorded::recorder.load(); disk != nullptr && rc == 0) disk->removed(path);
  return rc;
}
}
