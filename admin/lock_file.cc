// flock() on the platform's lock file.
#include "admin/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace relais::admin {

Result<LockFile> LockFile::take(const std::filesystem::path& path) {
  LockFile lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0) return fail(Fault::temporary, "cannot open " + path.string());
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) return fail(Fault::temporary, "a platform runs already in " + path.parent_path().parent_path().string(), "INUSE");
  return lock;
}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace relais::admin
