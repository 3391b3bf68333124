// Asks statvfs for free space and remembers the answer.
#include "storage/engine/disk_space.h"

#include <sys/statvfs.h>

namespace relais::storage {

std::uint64_t DiskSpace::free() const {
  using Clock = std::chrono::steady_clock;
  constexpr Clock::duration kRemember = std::chrono::seconds(1);
  const auto now = Clock::now().time_since_epoch().count();
  const auto remembered = free_.load(std::memory_order_relaxed);
  if (remembered >= 2 * reserve_ && remembered != 0 && now - asked_.load(std::memory_order_relaxed) < kRemember.count()) return remembered;
  struct statvfs fs {};
  if (::statvfs(path_.c_str(), &fs) != 0) return remembered;
  const std::uint64_t free = std::uint64_t{fs.f_bavail} * fs.f_frsize;
  free_.store(free, std::memory_order_relaxed);
  asked_.store(now, std::memory_order_relaxed);
  return free;
}

void DiskSpace::used(std::uint64_t octets) const noexcept {
  const auto free = free_.load(std::memory_order_relaxed);
  free_.store(free > octets ? free - octets : 0, std::memory_order_relaxed);
}

}  // namespace relais::storage
