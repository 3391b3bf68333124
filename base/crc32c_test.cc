// CRC-32C against the published vectors, and its two forms against each other.
#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace relais {
namespace {

TEST(Crc32c, PublishedVectors) {  // RFC 3720 §B.4
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(Crc32c, BothFormsAgreeAndContinue) {
  std::string octets;
  std::uint32_t state = 1;
  for (int i = 0; i < 10'000; ++i) octets += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (std::size_t length = 0; length < octets.size(); length = length * 5 / 4 + 1)
    for (std::size_t start = 0; start < 9; ++start) {
      const auto part = std::string_view(octets).substr(start, length);
      EXPECT_EQ(crc32c(part), detail::crc32c_portable(part)) << length;
      EXPECT_EQ(crc32c(part.substr(part.size() / 3), crc32c(part.substr(0, part.size() / 3))), crc32c(part));
    }
}

}  // namespace
}  // namespace relais
