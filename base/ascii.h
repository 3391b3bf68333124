// US-ASCII text helpers that ignore the locale: protocol keywords are US-ASCII whatever the environment says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais {

constexpr char ascii_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr char ascii_upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }
constexpr bool ascii_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool ascii_alpha(char c) noexcept { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }
constexpr bool ascii_wsp(char c) noexcept { return c == ' ' || c == '\t'; }

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
/// Equal but for the case of US-ASCII letters.
bool iequals(std::string_view a, std::string_view b) noexcept;
bool istarts_with(std::string_view text, std::string_view prefix) noexcept;
/// Without leading and trailing space, tab, CR and LF.
std::string_view trim(std::string_view text) noexcept;
/// Pieces between separators; an empty text gives one empty piece.
std::vector<std::string_view> split(std::string_view text, char separator);
/// True where every octet is below 0x80.
bool is_ascii(std::string_view text) noexcept;
/// True where the text is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool is_utf8(std::string_view text) noexcept;
/// A decimal number that fills the whole text; nullopt for a sign, a stray octet or more than 64 bits.
std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept;
/// Appends a decimal number without allocating.
void append_number(std::string& out, std::uint64_t number);

/// Compares with iequals, for maps keyed by names that are case-insensitive.
struct ILess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const noexcept;
};

}  // namespace relais
