// What the tests of parsers share: checks that hold for any input.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace relais::imap::testing {

/// Gives the parser every prefix of the text, in memory of just that size so that a sanitizer sees a read past it. What is refused must
/// say why.
template <class Parse>
void feed_every_prefix(std::string_view text, Parse&& parse) {
  for (std::size_t n = 0; n <= text.size(); ++n) {
    const std::string prefix(text.substr(0, n));
    const auto result = parse(std::string_view(prefix));
    if (result) continue;
    EXPECT_FALSE(result.error().text.empty()) << prefix;
    EXPECT_TRUE(result.error().fault == Fault::syntax || result.error().fault == Fault::refused) << prefix;
  }
}

/// "ok", or the fault with code and text: one string to compare with.
template <class T>
std::string outcome(const Result<T>& result) {
  if (result) return "ok";
  const auto& e = result.error();
  return std::string(to_string(e.fault)) + (e.code.empty() ? "" : " [" + e.code + "]") + ": " + e.text;
}

}  // namespace relais::imap::testing
