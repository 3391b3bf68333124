// Holds a message while it arrives: in memory while it is small, in an unlinked file beyond.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace relais {

/// Octets appended one after the other and then looked at as one piece.
///
/// Up to kInMemory they are in a growing buffer; beyond, in a temporary file that has no name (a crash leaves nothing behind) and
/// is mapped for view(). Nothing here is durable.
/// Threads: one at a time. Errors: Fault::temporary where the disk is full or fails; of the octets of that append some
/// may have been taken.
class Spool {
 public:
  static constexpr std::size_t kInMemory = 256 * 1024;  ///< octets

  /// @param directory where the temporary file is made when one is needed; the same file system as the storage is a good place
  explicit Spool(std::string directory) : directory_(std::move(directory)) {}
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&& other) noexcept;
  ~Spool();

  /// Invalidates earlier views.
  Result<void> append(std::string_view octets);
  std::size_t size() const noexcept { return written_ + used_; }
  /// Everything appended, in one piece. Valid until the next append, move or the end of the Spool.
  Result<std::string_view> view();
  /// Empty again; a small buffer is kept for the next message.
  void clear() noexcept;
  /// True once the octets have outgrown memory.
  bool on_disk() const noexcept { return file_ >= 0; }

 private:
  struct Free {
    void operator()(char* p) const noexcept { std::free(p); }
  };
  void grow(std::size_t at_least);
  Result<void> open_file();
  Result<void> write_out();
  void unmap() noexcept;
  void swap(Spool& other) noexcept;

  std::string directory_;
  std::unique_ptr<char, Free> buffer_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;     ///< octets in buffer_, which follow those in the file
  std::size_t written_ = 0;  ///< octets in the file
  int file_ = -1;
  char* map_ = nullptr;
  std::size_t mapped_ = 0;
};

}  // namespace relais
