// Transfer encodings, charsets, encoded words, search.
#include "message/decode.h"

#include <gtest/gtest.h>

#include <thread>

namespace relais::message {
namespace {

using namespace std::string_literals;

TEST(Transfer, Base64) {
  using enum Encoding;
  EXPECT_EQ(decode_transfer(base64, "aGVsbG8gd29ybGQ="), "hello world");
  EXPECT_EQ(decode_transfer(base64, "aGVs\r\nbG8g\r\nd29y bGQ=\r\n"), "hello world");
  EXPECT_EQ(decode_transfer(base64, "aGVsbG8=aGVsbG8="), "hellohello");
  EXPECT_EQ(decode_transfer(base64, "aGVs*bG8"), "hello");
  EXPECT_EQ(decode_transfer(base64, "a"), "");
  EXPECT_EQ(decode_transfer(base64, ""), "");
  EXPECT_EQ(decode_transfer_strict(base64, "aGVs\r\nbG8=\r\n"), "hello");
  EXPECT_EQ(decode_transfer_strict(base64, "aGVsbG8"), "hello");
  EXPECT_EQ(decode_transfer_strict(base64, "AP8="), "\0\xff"s);
  for (const std::string_view text : {"aGVs*bG8", "a", "aGVsbG8=aGVs", "=", "aGVs=", "aGVsb"}) {
    const auto got = decode_transfer_strict(base64, text);
    ASSERT_FALSE(got.has_value()) << text;
    EXPECT_EQ(got.error().code, "UNKNOWN-CTE");
    EXPECT_FALSE(decoded_size(base64, text).has_value());
  }
}

TEST(Transfer, QuotedPrintable) {
  using enum Encoding;
  EXPECT_EQ(decode_transfer(quoted_printable, "a=3Db=\r\nc =\nd  \r\ne\t"), "a=bc d\r\ne");
  EXPECT_EQ(decode_transfer(quoted_printable, "=c3=A4"), "ä");
  EXPECT_EQ(decode_transfer(quoted_printable, "100=%=4=G1"), "100=%=4=G1");
  EXPECT_EQ(decode_transfer(quoted_printable, "a="), "a");
  EXPECT_EQ(decode_transfer_strict(quoted_printable, "a=20b=\r\n"), "a b");
  EXPECT_FALSE(decode_transfer_strict(quoted_printable, "a=4").has_value());
  EXPECT_FALSE(decode_transfer_strict(quoted_printable, "a=zz").has_value());
}

TEST(Transfer, SizesWithoutOutput) {
  using enum Encoding;
  for (const auto encoding : {seven_bit, eight_bit, binary, quoted_printable, base64}) {
    for (const std::string_view text : {"", "aGVs", "aGVsbG8=", "aG\r\nVs\r\n", "abcd  \r\nabcd"}) {
      const auto decoded = decode_transfer_strict(encoding, text);
      const auto size = decoded_size(encoding, text);
      ASSERT_EQ(decoded.has_value(), size.has_value());
      if (size) EXPECT_EQ(decoded->size(), *size);
    }
  }
  EXPECT_FALSE(decoded_size(unknown, "x").has_value());
  EXPECT_EQ(decode_transfer(unknown, "x"), "x");
}

TEST(Charset, ToUtf8) {
  EXPECT_EQ(to_utf8("\xe4", "ISO-8859-1"), "ä");
  EXPECT_EQ(to_utf8("\x80", "iso-8859-1"), "€");
  EXPECT_EQ(to_utf8("\xa4", "ISO-8859-15"), "€");
  EXPECT_EQ(to_utf8("\x1b$B4A;z\x1b(B!", "ISO-2022-JP"), "漢字!");
  EXPECT_EQ(to_utf8("\xba\xba\xd7\xd6", "gb2312"), "汉字");
  EXPECT_EQ(to_utf8("\xc7\xd1", "KS_C_5601-1987"), "한");
  EXPECT_EQ(to_utf8("+AOQ-", "utf-7"), "ä");
  EXPECT_EQ(to_utf8("\x3d\xd8\x00\xde"s, "UTF-16LE"), "😀");
  EXPECT_EQ(to_utf8("ä", "utf-8"), "ä");
  EXPECT_EQ(to_utf8("ä", ""), "ä");
  EXPECT_EQ(to_utf8("\xe4", "us-ascii"), "ä");
  EXPECT_EQ(to_utf8("a\xff"
                    "b",
                    "UTF8"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(to_utf8("\xba", "gb2312"), "\xEF\xBF\xBD");
  EXPECT_EQ(to_utf8("x", "\"utf-8\""), "x");
  EXPECT_EQ(to_utf8("x", "no-such-charset"), std::nullopt);
  EXPECT_EQ(to_utf8("x", "iso-8859-1,version=1"), std::nullopt);
  EXPECT_EQ(to_utf8("x", std::string(1000, 'x')), std::nullopt);
  EXPECT_TRUE(is_known_charset("koi8-r"));
  EXPECT_FALSE(is_known_charset("klingon"));
}

TEST(Charset, ManyCharsetsOnManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(to_utf8("\xe4", "iso-8859-" + std::to_string(1 + i % 2)), "ä");
        EXPECT_EQ(to_utf8("\xc1", i % 2 == 0 ? "koi8-r" : "windows-1251"), i % 2 == 0 ? "а" : "Б");
        for (const auto* name : {"iso-8859-3", "iso-8859-4", "iso-8859-5", "iso-8859-6", "iso-8859-7", "big5", "euc-jp", "utf-16be"})
          to_utf8("ab", name);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(EncodedWords, Decoded) {
  EXPECT_EQ(decode_words("plain"), "plain");
  EXPECT_EQ(decode_words("=?UTF-8?Q?J=C3=BCrgen_X?= <a@b>"), "Jürgen X <a@b>");
  EXPECT_EQ(decode_words("=?iso-8859-1?b?5A==?="), "ä");
  EXPECT_EQ(decode_words("=?iso-8859-1*de?q?=e4?="), "ä");
  EXPECT_EQ(decode_words("a =?utf-8?q?b?= =?utf-8?q?c?=\r\n =?utf-8?q?d?= e"), "a bcd e");
  EXPECT_EQ(decode_words("=?utf-8?q?=C3?= =?utf-8?q?=A4?="), "ä");  // a character cut in two
  EXPECT_EQ(decode_words("=?utf-8?b?w6Q?= =?iso-8859-1?q?=e4?="), "ää");
  EXPECT_EQ(decode_words("=?utf-8?q?with space?="), "with space");
  EXPECT_EQ(decode_words("x=?utf-8?q?a?=y"), "xay");
}

TEST(EncodedWords, WhatIsNoneStays) {
  for (const std::string_view text :
       {"=?", "=?utf-8?", "=?utf-8?q?", "=?utf-8?q?abc", "=?utf-8?x?abc?=", "=?klingon?q?abc?=", "=??q?abc?=", "a =? b ?= c"})
    EXPECT_EQ(decode_words(text), text);
  EXPECT_EQ(decode_words("=?klingon?q?a?= =?utf-8?q?b?="), "=?klingon?q?a?= b");
  EXPECT_EQ(decode_words("caf\xe9"), "café");
  EXPECT_EQ(decode_words("=?utf-8?q?a=0D=0ABcc:_x=00?="), "aBcc: x");  // no forged fields
  EXPECT_EQ(decode_words("=?utf-8?q?a=?="), "a=");
}

TEST(ExtendedValue, Rfc2231) {
  EXPECT_EQ(decode_extended_value("utf-8'en'%e2%82%ac%20x"), "€ x");
  EXPECT_EQ(decode_extended_value("iso-8859-1''%A3"), "£");
  EXPECT_EQ(decode_extended_value("''a%2"), "a%2");
  EXPECT_EQ(decode_extended_value("utf-8"), std::nullopt);
  EXPECT_EQ(decode_extended_value("klingon''x"), std::nullopt);
}

TEST(Search, FoldsCase) {
  EXPECT_EQ(fold_case_for_search("HeLLo 1"), "hello 1");
  EXPECT_EQ(fold_case_for_search("STRASSE"), fold_case_for_search("straße"));
  EXPECT_EQ(fold_case_for_search("CAFÉ"), fold_case_for_search("cafe\u0301"));
  EXPECT_EQ(fold_case_for_search("ПРИВЕТ"), fold_case_for_search("привет"));
  EXPECT_EQ(fold_case_for_search("ﬁ™"), "fitm");
  EXPECT_EQ(fold_case_for_search("Ä\xff"), "a\u0308\xff");
}

TEST(Search, Finds) {
  EXPECT_TRUE(Searcher("").found_in(""));
  EXPECT_TRUE(Searcher("WORLD").found_in("hello World"));
  EXPECT_FALSE(Searcher("worlds").found_in("hello World"));
  EXPECT_TRUE(Searcher("ÜBER").found_in("das über das"));
  EXPECT_FALSE(Searcher("über").found_in("uber"));
  EXPECT_TRUE(Searcher("café").found_in_folded(fold_case_for_search("CAFÉ")));
  EXPECT_TRUE(Searcher("K").found_in("\u212A"));  // KELVIN SIGN
  // Across the pieces in which long texts are folded.
  const Searcher needle("Needle");
  for (std::size_t at = 4080; at < 4110; ++at) {
    auto text = std::string(at, 'x') + "nEEDLe";
    EXPECT_TRUE(needle.found_in(text));
    text.pop_back();
    EXPECT_FALSE(needle.found_in(text));
  }
  EXPECT_TRUE(Searcher(std::string(3000, 'A')).found_in(std::string(9000, 'b') + std::string(3000, 'a')));
}

}  // namespace
}  // namespace relais::message
