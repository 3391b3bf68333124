// For tests: what this process writes below a folder, and what a power cut at any instant may leave of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage::testing {

/// Files and folders as a disk has them: what is on it for sure, and what was written since and may be on it, in any part and order.
class DiskState {
 public:
  using FileId = std::size_t;
  struct Change {
    std::uint64_t operation = 0;
    std::uint64_t offset = 0;  ///< of `octets`, or the new size
    std::string octets{};
    bool resize = false;
  };
  struct File {
    std::string durable{};
    std::vector<Change> pending{};
  };
  struct NameChange {
    std::uint64_t operation = 0;
    std::string name;
    std::optional<FileId> file;  ///< nullopt: removed
  };
  struct Folder {
    std::map<std::string, FileId> durable{};
    std::vector<NameChange> pending{};
  };

  std::vector<File> files{};
  std::map<std::string, Folder> folders{};  ///< by their path below the recorded one

  /// Everything that was written is there: after the kill of a process alone.
  void write_all(const std::filesystem::path& to) const;
  /// Every sector (512 octets) that was not synced is there or not, each with that probability; names likewise.
  void write_after_power_cut(const std::filesystem::path& to, double probability, std::mt19937& random) const;
};

/// Records opens, writes, truncations, syncs, and removals below a folder, those of libraries too: the program that links this has the
/// system calls' wrappers replaced. One at a time. Lock files, which mean nothing after a power cut, are left out.
class RecordedDisk {
 public:
  /// From here on. @param before  what lies in the folder
  RecordedDisk(std::filesystem::path folder, DiskState before);
  ~RecordedDisk();
  RecordedDisk(const RecordedDisk&) = delete;
  RecordedDisk& operator=(const RecordedDisk&) = delete;

  /// The test's own marks among the operations.
  void note(std::uint64_t mark);
  /// How many operations there are by now.
  std::uint64_t now() const;
  /// The disk when the first `operations` were done. Marks before it are appended to `marks`. Ascending; no more recording after the first
  /// call.
  const DiskState& at(std::uint64_t operations, std::vector<std::uint64_t>& marks);

  // What the wrappers call.
  void opened(int fd, const char* path, int flags);
  void closed(int fd);
  bool knows(int fd) const;
  void wrote(int fd, std::uint64_t offset, std::string_view octets);
  void resized(int fd, std::uint64_t size);
  void removed(const char* path);
  std::uint64_t syncing() const { return now(); }
  void synced(int fd, std::uint64_t begun);

 private:
  enum class Kind : std::uint8_t { name, write, resize, sync, sync_folder, mark };
  struct Operation {
    Kind kind{};
    DiskState::FileId file = 0;
    std::uint64_t number = 0;  // offset, size, mark, or the operation before which everything is synced
    std::string octets{};
    std::string folder{};
    bool there = false;
  };
  struct Open {
    std::optional<DiskState::FileId> file;  // nullopt: a folder
    std::string folder;
    bool synchronous = false;
  };
  std::optional<std::pair<std::string, std::string>> place_of(const char* path) const;
  void apply(const Operation& operation);

  const std::filesystem::path folder_;
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::vector<Operation> operations_;
  std::map<int, Open> open_;
  std::map<std::pair<std::string, std::string>, DiskState::FileId> names_;  // as the process sees them
  std::size_t files_ = 0;
  // of the reading
  DiskState state_;
  std::uint64_t applied_ = 0;
};

}  // namespace relais::storage::testing
