// Round trips and refusals of the octet encodings.
#include "base/encode.h"

#include "base/ascii.h"

#include <gtest/gtest.h>

namespace relais {
namespace {

TEST(Encode, Base64FollowsRfc4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : cases) {
    EXPECT_EQ(to_base64(plain), coded);
    EXPECT_EQ(from_base64(coded), plain);
  }
  for (const auto* bad : {"Zg=", "Zg", "Z===", "Zg==Zg==", "Zh==", "Zm9=", "Z g=", "===="}) EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Encode, NumbersComeBack) {
  std::string out;
  put_u8(out, 7);
  put_u16(out, 0x1234);
  put_u32(out, 0xDEADBEEF);
  put_u64(out, 0x0123456789ABCDEF);
  put_varint(out, 0);
  put_varint(out, 300);
  put_varint(out, UINT64_MAX);
  put_string(out, "mail");
  Decoder in(out);
  EXPECT_EQ(in.u8(), 7);
  EXPECT_EQ(in.u16(), 0x1234);
  EXPECT_EQ(in.u32(), 0xDEADBEEF);
  EXPECT_EQ(in.u64(), 0x0123456789ABCDEFULL);
  EXPECT_EQ(in.varint(), 0U);
  EXPECT_EQ(in.varint(), 300U);
  EXPECT_EQ(in.varint(), UINT64_MAX);
  EXPECT_EQ(in.string(), "mail");
  EXPECT_TRUE(in.done());
  for (std::size_t cut = 0; cut < out.size(); ++cut) {
    Decoder shorter(std::string_view(out).substr(0, cut));
    shorter.u8(), shorter.u16(), shorter.u32(), shorter.u64(), shorter.varint(), shorter.varint(), shorter.varint(), shorter.string();
    EXPECT_FALSE(shorter.ok()) << cut;
  }
}

TEST(Encode, Hex) {
  EXPECT_EQ(to_hex(std::string_view("\x00\xff", 2)), "00ff");
  EXPECT_EQ(from_hex("00Ff"), std::string("\x00\xff", 2));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Ascii, Utf8IsChecked) {
  EXPECT_TRUE(is_utf8("gr\xC3\xBC\xC3\x9F dich \xE2\x82\xAC \xF0\x9F\x93\xAC"));
  for (const auto* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF", "\x80", "\xE0\x80\x80"}) EXPECT_FALSE(is_utf8(bad));
}

}  // namespace
}  // namespace relais
