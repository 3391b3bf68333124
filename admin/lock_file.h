// One process at a time has a platform's data open.
#pragma once

#include "base/result.h"

#include <filesystem>
#include <utility>

namespace relais::admin {

/// An exclusive lock on a file, held until destroyed (the kernel lets go of it when the process dies, however it dies).
class LockFile {
 public:
  /// Errors: Fault::temporary where another process holds it, or the file cannot be made.
  static Result<LockFile> take(const std::filesystem::path& path);
  ~LockFile();
  LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LockFile& operator=(LockFile&&) = delete;

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace relais::admin
