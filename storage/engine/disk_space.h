// How much room the file system has left, asked rarely.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>

namespace relais::storage {

/// Free octets of a file system, remembered for a second, and for less where it is getting tight. Threads: any.
class DiskSpace {
 public:
  /// @param reserve  octets; below twice as much every question asks the file system
  DiskSpace(std::filesystem::path path, std::uint64_t reserve) : path_(std::move(path)), reserve_(reserve) {}
  std::uint64_t free() const;
  /// Tells that so many octets were written since.
  void used(std::uint64_t octets) const noexcept;

 private:
  const std::filesystem::path path_;
  const std::uint64_t reserve_;
  mutable std::atomic<std::uint64_t> free_{0};
  mutable std::atomic<std::chrono::steady_clock::rep> asked_{0};
};

}  // namespace relais::storage
