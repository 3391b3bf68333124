// The octets of a message that goes out, piece by piece.
#pragma once

#include "net/task.h"

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::smtp {

/// Where the content of a message comes from: memory, or storage that is read while it is sent.
/// Threads: the connection's loop.
class ContentSource {
 public:
  virtual ~ContentSource() = default;
  /// Octets in all: exactly what next() gives until it is empty.
  virtual std::uint64_t size() const noexcept = 0;
  /// The next piece, at best some hundred KB; empty at the end. Valid until the next call, rewind() or the end of the source.
  /// Errors: any; the attempt is then temporary and the connection is closed.
  virtual net::Task<std::string_view> next() = 0;
  /// The next next() gives the first piece again.
  virtual void rewind() = 0;
};

/// Content that lies in memory. The octets outlive it.
class MemoryContent final : public ContentSource {
 public:
  explicit MemoryContent(std::vector<std::string_view> pieces);
  explicit MemoryContent(std::string_view octets) : MemoryContent(std::vector<std::string_view>{octets}) {}
  std::uint64_t size() const noexcept override { return size_; }
  net::Task<std::string_view> next() override;
  void rewind() override { next_ = 0; }

 private:
  std::vector<std::string_view> pieces_;
  std::size_t next_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace relais::smtp
