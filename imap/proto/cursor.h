// Reads IMAP grammar from the octets of one command and remembers the first thing that did not fit.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// A sticky cursor: the first mismatch is remembered and empties the rest, so later reads are harmless and give empty values,
/// and one check of ok() at the end is enough.
///
/// Literals stand in the text as they came from the wire: `{n}` or `{n+}` (or `~{n}`), CRLF, n octets.
/// Views returned point into the text given to the constructor.
/// Threads: a value of its own. Never throws except std::bad_alloc.
class Cursor {
 public:
  explicit Cursor(std::string_view text, Dialect dialect = {}) noexcept : rest_(text), dialect_(dialect) {}

  bool ok() const noexcept { return expected_ == nullptr; }
  /// For a cursor that is not ok(): Fault::syntax "expected …", or Fault::refused where the grammar was kept but the value cannot be
  /// served (an unknown system flag, a mailbox name that is not modified UTF-7).
  std::unexpected<Error> error() const;
  std::string_view rest() const noexcept { return rest_; }
  Dialect dialect() const noexcept { return dialect_; }

  /// Remembers a mismatch: "expected " and what. The text must outlive the cursor (a string constant).
  void miss(const char* expected) noexcept;
  /// Remembers a refusal with its response code.
  void refuse(const char* code, const char* text) noexcept;

  // --- single octets and keywords
  void sp() noexcept { octet(' ', "SP"); }
  void octet(char c, const char* expected) noexcept;
  /// Takes the octet if it comes next.
  bool accept(char c) noexcept;
  bool peek(char c) const noexcept { return !rest_.empty() && rest_.front() == c; }
  /// Nothing may be left.
  void end() noexcept;
  bool at_end() const noexcept { return rest_.empty(); }
  /// The word (letters, digits, "-", ".", "=", "+", "_", "/", ":") that comes next, not consumed; may be empty.
  std::string_view peek_word() const noexcept;
  /// Takes the word if it equals `upper` (given in upper case) without regard to case.
  bool accept_word(std::string_view upper) noexcept;
  void skip(std::size_t octets) noexcept { rest_.remove_prefix(octets < rest_.size() ? octets : rest_.size()); }

  // --- RFC 9051 §9, by their names there
  std::string_view atom() noexcept;      ///< 1*ATOM-CHAR
  std::string astring();                 ///< atom with "]" or string; no NUL
  std::string string();                  ///< quoted or literal; no NUL
  std::optional<std::string> nstring();  ///< string or NIL
  std::uint32_t number() noexcept;       ///< 32-bit
  std::uint32_t nz_number() noexcept;    ///< 32-bit, not 0
  std::uint64_t number64() noexcept;     ///< 63-bit
  std::uint64_t nz_number64() noexcept;  ///< 63-bit, not 0
  SequenceSet sequence_set();            ///< with "*" and "$"
  /// A sequence-set without "*" and "$" (RFC 7162 §7 known-uids).
  NumberSet known_set();
  /// In UTF-8, with "INBOX" in upper case where it is the first level. Refused: names that are not modified UTF-7 (or UTF-8, by the
  /// dialect), or hold control characters (RFC 9051 §5.1, RFC 6855 §3); unless the dialect takes any names, of which only NUL is refused.
  std::string mailbox();
  /// The reference of a LIST: a mailbox name, or nothing. nullopt where no mailbox can have a name that begins so.
  std::optional<std::string> list_reference();
  /// `list-mailbox`: a pattern in UTF-8, runs of wildcards collapsed. nullopt where no mailbox can have such a name.
  std::optional<std::string> list_mailbox();
  FlagList flag_list();          ///< "(" flags ")"
  FlagList flags_bare();         ///< 1*(flag SP), without parentheses
  std::chrono::sys_days date();  ///< date-text, quoted or not
  DateTime date_time();          ///< quoted
  StatusItems status_items();    ///< "(" status-att *(SP status-att) ")"
  PartialRange partial_range();  ///< RFC 9394 §4
  std::string object_id();       ///< RFC 8474 §7: 1*255(ALPHA / DIGIT / "_" / "-")

 private:
  void flag_into(FlagList& out);
  std::string decode_name(std::string name);
  std::optional<std::string> decode_for_list(std::string name);
  std::string quoted();
  std::string_view literal() noexcept;
  std::uint64_t digits(std::uint64_t least, std::uint64_t most, const char* expected) noexcept;
  unsigned fixed_digits(std::size_t count, const char* expected) noexcept;
  std::chrono::sys_days day_month_year(unsigned day) noexcept;

  std::string_view rest_;
  Dialect dialect_;
  const char* expected_ = nullptr;  ///< the first mismatch; nullptr while all fits
  const char* code_ = nullptr;      ///< set for a refusal
};

/// 1*ATOM-CHAR characters (RFC 9051 §9): not CTL, SP, "(", ")", "{", "%", "*", DQUOTE, "\", "]", nor above 0x7E.
bool is_atom_char(char c) noexcept;

}  // namespace relais::imap
