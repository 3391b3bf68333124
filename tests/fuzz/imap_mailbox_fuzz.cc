// Mailbox names and patterns: conversions are inverse to each other, and the matcher agrees with a table of all its prefixes.
#include "imap/proto/mailbox.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"

using namespace relais;
using namespace relais::imap;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

/// The textbook way: row i, column j tells whether the first i of the pattern match the first j of the name.
bool matches_by_table(std::string_view pattern, std::string_view name) {
  std::vector<std::vector<bool>> table(pattern.size() + 1, std::vector<bool>(name.size() + 1));
  table[0][0] = true;
  for (std::size_t i = 1; i <= pattern.size(); ++i) {
    const char p = pattern[i - 1];
    for (std::size_t j = 0; j <= name.size(); ++j) {
      if (p == '*' || p == '%') {
        table[i][j] = table[i - 1][j] || (j > 0 && table[i][j - 1] && (p == '*' || name[j - 1] != kSeparator));
      } else {
        table[i][j] = j > 0 && table[i - 1][j - 1] && p == name[j - 1];
      }
    }
  }
  return table[pattern.size()][name.size()];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  if (const auto utf8 = utf7_to_utf8(input)) {
    check(is_utf8(*utf8));
    check(utf8_to_utf7(*utf8) == input);
  }
  if (const auto utf7 = utf8_to_utf7(input)) {
    check(is_ascii(*utf7));
    check(utf7_to_utf8(*utf7) == input);
  } else {
    check(!is_utf8(input));
  }

  const auto cut = input.find('\n');
  if (cut == std::string_view::npos || cut > 200 || size > 500) return 0;
  std::string pattern(input.substr(0, cut));
  std::string name(input.substr(cut + 1));
  canonicalise_inbox(name);
  if (name.starts_with("INBOX")) return 0;  // its own rule: case
  const bool expected = matches_by_table(pattern, name);
  check(list_matches(pattern, name) == expected);
  collapse_wildcards(pattern);
  check(list_matches(pattern, name) == expected);
  return 0;
}
