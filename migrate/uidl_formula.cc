// Makes and reads UIDLs by a formula.
#include "migrate/uidl_formula.h"

#include "base/ascii.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace relais::migrate {
namespace {

/// "%08xu", or octets that stand for themselves.
struct Piece {
  std::string_view literal{};
  char field = '\0';  // 'u', 'v'; NUL: literal
  bool hex = false;
  bool upper = false;
  std::size_t width = 0;
};

constexpr std::size_t kMaxWidth = 10;  // digits of a 32-bit number

/// Takes one piece off a formula that is not empty.
Piece take_piece(std::string_view& text) noexcept {
  Piece piece;
  if (text.front() == '%') {
    std::size_t at = 1;
    for (; at < text.size() && ascii_digit(text[at]) && piece.width <= kMaxWidth; ++at)
      piece.width = piece.width * 10 + static_cast<std::size_t>(text[at] - '0');
    if (at < text.size() && ascii_lower(text[at]) == 'x') {
      piece.hex = true;
      piece.upper = text[at++] == 'X';
    }
    if (at < text.size() && (text[at] == 'u' || text[at] == 'v') && piece.width <= kMaxWidth) {
      piece.field = text[at];
      text.remove_prefix(at + 1);
      return piece;
    }
  }
  const auto end = std::min(text.find('%', 1), text.size());
  piece.literal = text.substr(0, end);
  text.remove_prefix(end);
  return piece;
}

void append_field(std::string& out, const Piece& piece, std::uint32_t number) {
  std::array<char, kMaxWidth> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, piece.hex ? 16 : 10).ptr;
  const auto size = static_cast<std::size_t>(end - digits.data());
  if (size < piece.width) out.append(piece.width - size, '0');
  for (const char c : std::string_view(digits.data(), size)) out.push_back(piece.upper ? ascii_upper(c) : c);
}

}  // namespace

std::string UidlFormula::make(storage::Uid uid, std::uint32_t uid_validity) const {
  std::string out;
  for (auto rest = text_; !rest.empty();) {
    const auto piece = take_piece(rest);
    if (piece.field == '\0')
      out += piece.literal;
    else
      append_field(out, piece, piece.field == 'u' ? uid : uid_validity);
  }
  return out;
}

// What is read need not be looked at closely: it is right where it makes the same UIDL again.
std::optional<storage::Uid> UidlFormula::uid_of(std::string_view uidl, std::uint32_t uid_validity) const {
  auto left = uidl;
  std::optional<storage::Uid> uid;
  for (auto rest = text_; !rest.empty();) {
    const auto piece = take_piece(rest);
    if (piece.field == 'u') {
      std::size_t size = 0;
      const auto is_digit = [&piece](char c) { return ascii_digit(c) || (piece.hex && ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f'); };
      // A number that must have 8 hexadecimal digits cannot have more.
      const auto most = piece.hex ? std::max<std::size_t>(piece.width, 8) : kMaxWidth;
      while (size < std::min(left.size(), most) && is_digit(left[size])) ++size;
      storage::Uid found = 0;
      const auto* const end = left.data() + size;
      const auto [stop, failure] = std::from_chars(left.data(), end, found, piece.hex ? 16 : 10);
      if (failure != std::errc{} || stop != end || found == 0) return std::nullopt;
      uid = found;
      left.remove_prefix(size);
    } else {
      std::string expected(piece.literal);
      if (piece.field == 'v') append_field(expected, piece, uid_validity);
      if (!left.starts_with(expected)) return std::nullopt;
      left.remove_prefix(expected.size());
    }
  }
  if (!uid || make(*uid, uid_validity) != uidl) return std::nullopt;
  return uid;
}

bool UidlFormula::has_uid_validity() const noexcept {
  for (auto rest = text_; !rest.empty();) {
    if (take_piece(rest).field == 'v') return true;
  }
  return false;
}

std::span<const UidlFormula> known_uidl_formulas() noexcept {
  // Those with UIDVALIDITY first: they cannot fit by chance.
  static constexpr std::array kFormulas{
      UidlFormula("%08xu%08xv"),  // Dovecot 2
      UidlFormula("%08Xu%08Xv"),
      UidlFormula("%08xv%08xu"),  // UW ipop3d; Dovecot in its place
      UidlFormula("%08Xv%08Xu"),
      UidlFormula("%v.%u"),     // Cyrus from 2.1.4 on, Dovecot 0.99
      UidlFormula("%v-%u"),     // Courier, version 2 of its list; Dovecot in its place
      UidlFormula("UID%u-%v"),  // Courier since
      UidlFormula("%u.%v"),      UidlFormula("%u-%v"),
      UidlFormula("%u"),  // Cyrus before 2.1.4, Courier, version 1 of its list
  };
  return kFormulas;
}

}  // namespace relais::migrate
