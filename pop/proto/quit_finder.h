// Finds QUIT among the lines of a relayed POP3 client.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace relais::pop {

/// Looks at everything that a client in the TRANSACTION state sends, in pieces of any size. RFC 1939 §6: from QUIT on the server deletes
/// what was marked; before it, nothing is lost by closing. Pure; buffers the first octets of a line alone; how the octets are cut makes no
/// difference.
class QuitFinder {
 public:
  void feed(std::string_view octets) noexcept;
  /// A whole line was QUIT, in any case.
  bool found() const noexcept { return found_; }
  /// Nothing of a line was seen since the last one ended.
  bool at_line_start() const noexcept { return size_ == 0; }

 private:
  static constexpr std::size_t kHead = 5;  ///< "QUIT" and what follows it
  void end_line() noexcept;

  std::array<char, kHead> head_{};
  std::size_t size_ = 0;  ///< octets of the present line, up to kHead
  bool found_ = false;
};

}  // namespace relais::pop
