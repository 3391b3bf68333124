// Modified UTF-7, INBOX, and the matching of list patterns.
#include "imap/proto/mailbox.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/ascii.h"

namespace relais::imap {
namespace {

// mb64-char = ALPHA / DIGIT / "+" / ","                                       RFC 3501 §5.1.3
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

constexpr std::array<std::int8_t, 256> kSextets = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}();

constexpr bool is_printable(char32_t c) noexcept { return c >= 0x20 && c <= 0x7E; }

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&out](char32_t octet) { out.push_back(static_cast<char>(static_cast<unsigned char>(octet))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

/// Takes one code point off well-formed UTF-8.
char32_t take_utf8(std::string_view& text) noexcept {
  const auto at = [&text](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const auto first = at(0);
  std::size_t size = 1;
  auto c = first;
  if (first >= 0xF0) {
    c = ((first & 0x07) << 18) | ((at(1) & 0x3F) << 12) | ((at(2) & 0x3F) << 6) | (at(3) & 0x3F);
    size = 4;
  } else if (first >= 0xE0) {
    c = ((first & 0x0F) << 12) | ((at(1) & 0x3F) << 6) | (at(2) & 0x3F);
    size = 3;
  } else if (first >= 0xC0) {
    c = ((first & 0x1F) << 6) | (at(1) & 0x3F);
    size = 2;
  }
  text.remove_prefix(size);
  return c;
}

/// Decodes the base64 between "&" and "-" onto `out`. False where it is not what an encoder would have written.
bool decode_shift(std::string_view shifted, std::string& out) {
  std::uint32_t bits = 0;
  unsigned count = 0;
  char32_t high = 0;  // a high surrogate that waits for its low one
  for (const char c : shifted) {
    const auto sextet = kSextets[static_cast<unsigned char>(c)];
    if (sextet < 0) return false;
    bits = (bits << 6) | static_cast<std::uint32_t>(sextet);
    count += 6;
    if (count < 16) continue;
    count -= 16;
    const char32_t unit = (bits >> count) & 0xFFFF;
    bits &= (1U << count) - 1;
    const bool is_high = unit >= 0xD800 && unit < 0xDC00;
    const bool is_low = unit >= 0xDC00 && unit < 0xE000;
    if (is_low != (high != 0)) return false;
    if (is_high) {
      high = unit;
      continue;
    }
    if (!is_low && is_printable(unit)) return false;  // RFC 3501 §5.1.3: MUST NOT represent what can represent itself
    append_utf8(out, is_low ? 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00) : unit);
    high = 0;
  }
  return high == 0 && count < 6 && bits == 0;  // no half character, no superfluous sextet, zero padding
}

class ShiftEncoder {
 public:
  explicit ShiftEncoder(std::string& out) : out_(out) {}
  void put(char32_t c) {
    if (!open_) out_.push_back('&');
    open_ = true;
    if (c >= 0x10000) {
      unit(0xD800 + ((c - 0x10000) >> 10));
      unit(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      unit(c);
    }
  }
  void close() {
    if (!open_) return;
    if (count_ > 0) out_.push_back(kAlphabet[(bits_ << (6 - count_)) & 0x3F]);
    out_.push_back('-');
    open_ = false;
    bits_ = 0;
    count_ = 0;
  }

 private:
  void unit(char32_t value) {
    bits_ = (bits_ << 16) | static_cast<std::uint32_t>(value);
    count_ += 16;
    while (count_ >= 6) {
      count_ -= 6;
      out_.push_back(kAlphabet[(bits_ >> count_) & 0x3F]);
    }
    bits_ &= (1U << count_) - 1;
  }

  std::string& out_;
  bool open_ = false;
  std::uint32_t bits_ = 0;
  unsigned count_ = 0;
};

constexpr std::string_view kInbox = "INBOX";

bool has_inbox_level(std::string_view name, char separator) noexcept {
  return istarts_with(name, kInbox) && (name.size() == kInbox.size() || name[kInbox.size()] == separator);
}

constexpr bool is_wildcard(char c) noexcept { return c == '*' || c == '%'; }

}  // namespace

std::optional<std::string> utf7_to_utf8(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (!is_printable(c)) return std::nullopt;
    if (c != '&') {
      out.push_back(name[i]);
      continue;
    }
    const auto end = name.find('-', i + 1);
    if (end == std::string_view::npos) return std::nullopt;
    const auto shifted = name.substr(i + 1, end - i - 1);
    i = end;
    if (shifted.empty()) {
      out.push_back('&');
      continue;
    }
    if (!decode_shift(shifted, out)) return std::nullopt;
    // RFC 3501 §5.1.3: "&U,BTFw-&ZeVnLIqe-" is not permitted, its two shifts are one.
    if (name.substr(end + 1).starts_with('&') && !name.substr(end + 1).starts_with("&-")) return std::nullopt;
  }
  return out;
}

std::optional<std::string> utf8_to_utf7(std::string_view name) {
  if (!is_utf8(name)) return std::nullopt;
  std::string out;
  out.reserve(name.size());
  ShiftEncoder shift(out);
  while (!name.empty()) {
    const auto c = take_utf8(name);
    if (!is_printable(c)) {
      shift.put(c);
      continue;
    }
    shift.close();
    out.push_back(static_cast<char>(c));
    if (c == U'&') out.push_back('-');
  }
  shift.close();
  return out;
}

bool is_mailbox_name(std::string_view utf8) noexcept {
  if (utf8.empty() || !is_utf8(utf8)) return false;
  while (!utf8.empty()) {
    const auto c = take_utf8(utf8);
    if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029) return false;
  }
  return true;
}

void canonicalise_inbox(std::string& name, char separator) {
  if (has_inbox_level(name, separator)) name.replace(0, kInbox.size(), kInbox);
}

void collapse_wildcards(std::string& pattern) {
  std::size_t kept = 0;
  for (const char c : pattern) {
    if (is_wildcard(c) && kept > 0 && is_wildcard(pattern[kept - 1])) {
      if (c == '*') pattern[kept - 1] = '*';
    } else {
      pattern[kept++] = c;
    }
  }
  pattern.resize(kept);
}

// The pattern is a non-deterministic automaton whose states are the positions in it; all that may be reached are kept at once as
// bits, so that no pattern makes it go back (RFC 9051 §6.3.9 patterns come from the client).
bool list_matches(std::string_view pattern, std::string_view name, char separator) noexcept {
  constexpr std::size_t kWords = (kMaxPatternOctets + 64) / 64;
  if (pattern.size() > kMaxPatternOctets) return false;
  const auto literals = static_cast<std::size_t>(std::ranges::count_if(pattern, [](char c) { return !is_wildcard(c); }));
  if (literals > name.size()) return false;

  const std::size_t words = pattern.size() / 64 + 1;
  std::array<std::uint64_t, kWords> now{};
  std::array<std::uint64_t, kWords> next{};
  // A wildcard may also stand for nothing, so reaching it reaches what follows.
  const auto reach = [&pattern](std::array<std::uint64_t, kWords>& states, std::size_t state) {
    states[state / 64] |= std::uint64_t{1} << (state % 64);
    while (state < pattern.size() && is_wildcard(pattern[state])) {
      ++state;
      states[state / 64] |= std::uint64_t{1} << (state % 64);
    }
  };

  // Once a "*" at the end is reached, whatever follows matches.
  const bool open_ended = pattern.ends_with('*');
  const auto is_won = [&](const std::array<std::uint64_t, kWords>& states) {
    return open_ended && ((states[(pattern.size() - 1) / 64] >> ((pattern.size() - 1) % 64)) & 1) != 0;
  };
  const bool inbox = has_inbox_level(name, separator);
  reach(now, 0);
  if (is_won(now)) return true;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool any_case = inbox && i < kInbox.size();
    std::fill_n(next.begin(), words, 0);
    bool alive = false;
    for (std::size_t w = 0; w < words; ++w) {
      for (auto bits = now[w]; bits != 0; bits &= bits - 1) {
        const auto state = w * 64 + static_cast<std::size_t>(std::countr_zero(bits));
        if (state == pattern.size()) continue;
        const char p = pattern[state];
        if (is_wildcard(p)) {
          if (p == '%' && c == separator) continue;
          reach(next, state);
        } else if (p == c || (any_case && ascii_lower(p) == ascii_lower(c))) {
          reach(next, state + 1);
        } else {
          continue;
        }
        alive = true;
      }
    }
    if (!alive) return false;
    std::swap(now, next);
    if (is_won(now)) return true;
  }
  return ((now[pattern.size() / 64] >> (pattern.size() % 64)) & 1) != 0;
}

}  // namespace relais::imap
