// Header fields of a message as views into its octets; understands what real mail contains, never fails.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace relais::message {

/// A field, or a line that is none (then the name is empty and value = the line).
struct Field {
  std::string_view name;     ///< without space before the colon
  std::string_view raw;      ///< the whole field: name, folded lines, and the final line end where there is one
  std::string_view value;    ///< after the colon, still folded, without the final line end; leading space kept
  std::uint32_t offset = 0;  ///< of raw in the header
};

/// Reads the field that starts at `pos` and moves `pos` past it. Lines end with LF or CRLF; a bare CR is an octet like any other.
/// A line that starts with space or tab continues the one before, even if nothing else is in it (RFC 5322 §4.2 obs-FWS).
/// A line that has no colon, or none after a field name (the "From " line of mbox files), gives a Field with an empty name.
/// @return false at the end of the header: the end of the text or an empty line, which pos is left at.
bool next_field(std::string_view header, std::size_t& pos, Field& field) noexcept;

/// Calls f(const Field&) for each field in order, skipping lines that are none. If f returns bool, false ends the walk.
/// The header may have the blank line and the body behind it: they are not looked at.
template <class F>
void for_each_field(std::string_view header, F&& f) {
  Field field;
  for (std::size_t pos = 0; next_field(header, pos, field);) {
    if (field.name.empty()) continue;
    if constexpr (std::convertible_to<std::invoke_result_t<F&, const Field&>, bool>) {
      if (!f(std::as_const(field))) return;
    } else {
      f(std::as_const(field));
    }
  }
}

/// The first field of that name, unfolded and without surrounding space; nullopt where there is none.
std::optional<std::string> find_field(std::string_view header, std::string_view name);

/// Offset of the body: just after the first empty line. The whole size where there is none, which is then all header.
std::size_t header_end(std::string_view message) noexcept;

/// Without line ends (RFC 5322 §2.2.3: the space that follows one stays); bare CR, NUL and surrounding white space are dropped too.
std::string unfold(std::string_view value);
/// The same, appended to out.
void append_unfolded(std::string& out, std::string_view value);

/// Whether storage keeps raw copies of the fields of this name (Summary::header_fields), so that a fetch of it never opens the message.
/// Case-insensitive, a table look-up.
bool is_cached_field(std::string_view name) noexcept;

/// The matcher behind BODY[HEADER.FIELDS (…)] and BODY[HEADER.FIELDS.NOT (…)] (RFC 9051 §6.4.5.1). Made once for a command, used for each
/// of its messages.
///
/// Threads: const use is safe from any number of threads. Owns copies of the names.
class FieldSelector {
 public:
  FieldSelector(std::span<const std::string> names, bool exclude);

  /// Appends the selected fields in message order, exactly as they are, and the blank line. With `exclude`, lines that are no fields are
  /// selected.
  void append(std::string& out, std::string_view header) const;
  bool matches(std::string_view name) const noexcept;
  /// Whether Summary::header_fields alone can answer: not for `exclude`, and each name cached.
  bool cached() const noexcept { return cached_; }
  bool exclude() const noexcept { return exclude_; }

 private:
  std::vector<std::string> names_;  ///< lower case, sorted by length
  std::uint64_t lengths_ = 0;       ///< bit n: a name of n octets is among them (63: that long or longer)
  std::uint32_t first_ = 0;         ///< bit n: a name starts with the letter number n (31: with anything else)
  bool exclude_ = false;
  bool cached_ = false;
};

/// FieldSelector for a single use.
std::string select_fields(std::string_view header, std::span<const std::string> names, bool exclude);

}  // namespace relais::message
