// A command as a client writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/number_set.h"

namespace relais::imap {

/// The text of one command without its tag, cut into pieces where the server must say "+" before more may follow.
///
/// Threads: a value of its own. Source: RFC 9051 §9 `command`, §4.3.
class ClientCommand {
 public:
  /// Which literals the server takes without being asked first.
  enum class Literals : std::uint8_t {
    sync,   ///< none
    minus,  ///< up to kMaxMinus octets (RFC 7888 §5; RFC 9051 §4.3)
    plus,   ///< all (RFC 7888 §4)
  };
  static constexpr std::size_t kMaxMinus = 4096;

  explicit ClientCommand(Literals literals) : literals_(literals), pieces_(1) {}

  /// As it is: words, numbers, spaces, parentheses.
  ClientCommand& text(std::string_view words);
  /// `string`: quoted where it is printable US-ASCII and short, else a literal. Octets that no string can carry (NUL) make the command
  /// not sendable().
  ClientCommand& string(std::string_view octets);
  ClientCommand& set(const NumberSet& numbers);
  /// Announces a literal whose octets the caller sends: they are no part of the pieces. @param wait  the server is asked first
  ClientCommand& announce(std::uint64_t octets, bool wait, bool binary);

  bool sendable() const noexcept { return sendable_; }
  Literals literals() const noexcept { return literals_; }
  /// The last one without CRLF.
  std::vector<std::string>& pieces() noexcept { return pieces_; }

 private:
  Literals literals_;
  bool sendable_ = true;
  std::vector<std::string> pieces_;
};

/// The set as texts of at most `octets` each (but at least one range), ascending: what fits into one command line.
/// RFC 7162 §4: lines up to 8192 octets are taken.
std::vector<std::string> set_texts(const NumberSet& set, std::size_t octets = 7'000);

}  // namespace relais::imap
