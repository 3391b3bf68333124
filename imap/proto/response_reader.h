// Reads the pieces of a server's response, well-formed or nearly so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/number_set.h"
#include "base/result.h"
#include "imap/proto/response.h"

namespace relais::imap {

/// The tolerant counterpart of Cursor, and sticky in the same way: the first mismatch is remembered and empties the rest.
/// Views point into the text. Threads: a value of its own.
class ResponseReader {
 public:
  /// @param literals  How many literals stand outside of the text; references to others are a mismatch.
  ResponseReader(std::string_view text, std::size_t literals) noexcept : rest_(text), literals_(literals) {}

  bool ok() const noexcept { return expected_ == nullptr; }
  /// Fault::syntax "expected …", for a reader that is not ok().
  std::unexpected<Error> error() const;
  void miss(const char* expected) noexcept;

  std::string_view rest() const noexcept { return rest_; }
  bool at_end() const noexcept { return rest_.empty(); }
  bool peek(char c) const noexcept { return rest_.starts_with(c); }
  bool accept(char c) noexcept;
  void octet(char c, const char* expected) noexcept;
  void spaces() noexcept;
  std::string_view take(std::size_t n) noexcept;

  /// Up to a space, a parenthesis, a quote or the end; may be empty.
  std::string_view word() noexcept;
  bool accept_word(std::string_view upper) noexcept;
  std::uint64_t number() noexcept;
  std::uint32_t number32() noexcept;
  /// String, atom or NIL; a literal that was handed out is a reference.
  std::optional<Octets> octets();
  /// The same where a large literal is out of place; NIL is empty.
  std::string text();
  /// "NIL" is a name like any other.
  std::string astring();
  /// Any value, as sent; bounded nesting, no recursion.
  std::string_view value();
  std::vector<std::string> words_in_parentheses();
  NumberSet set();
  /// A set given as text, in the order sent, its ranges turned to ascend.
  std::vector<NumberRange> ordered_set(std::string_view text);

 private:
  bool at_literal() const noexcept { return peek('{') || rest_.starts_with("~{"); }
  void skip_quoted() noexcept;
  std::string quoted();
  void literal(Octets& found, bool keep);

  std::string_view rest_;
  std::size_t literals_;
  const char* expected_ = nullptr;
};

}  // namespace relais::imap
