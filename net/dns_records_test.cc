// RDATA: what parses, what does not, and round trips.
#include "net/dns_records.h"

#include "base/encode.h"

#include <gtest/gtest.h>

namespace relais::net {
namespace {

std::string hex(std::string_view text) { return from_hex(text).value(); }
const std::string kLabel63(63, 'a');

TEST(DnsRecords, Addresses) {
  EXPECT_EQ(parse_a(hex("c0000201")).value(), "192.0.2.1");
  EXPECT_EQ(parse_aaaa(hex("20010db8000000000000000000000001")).value(), "2001:db8::1");
  for (const auto* const bad : {"", "c00002", "c000020101", "20010db8000000000000000000000001"}) EXPECT_FALSE(parse_a(hex(bad))) << bad;
  for (const auto* const bad : {"", "c0000201", "20010db80000000000000000000000", "20010db800000000000000000000000101"})
    EXPECT_FALSE(parse_aaaa(hex(bad))) << bad;
  EXPECT_EQ(make_a("192.0.2.1").value(), hex("c0000201"));
  EXPECT_FALSE(make_a("192.0.2"));
  EXPECT_FALSE(make_aaaa("192.0.2.1"));
}

TEST(DnsRecords, Mx) {
  EXPECT_EQ(parse_mx(hex("000a024d5803666f6f00")).value(), (MxRecord{10, "mx.foo"}));  // lower case
  EXPECT_EQ(parse_mx(hex("000000")).value(), (MxRecord{0, ""}));                       // RFC 7505
  const struct {
    const char* octets;
    const char* why;
  } bad[] = {{"", "empty"},
             {"00", "half a preference"},
             {"000a", "no name"},
             {"000a026d78", "no end"},
             {"000a046d7800", "label beyond the end"},
             {"000a026d780000", "something follows"},
             {"000ac00c", "a compression pointer"},
             {"000a406d7800", "a label of 64"}};
  for (const auto& c : bad) EXPECT_FALSE(parse_mx(hex(c.octets))) << c.why;
}

TEST(DnsRecords, NamesRoundTripWithOddOctets) {
  for (const std::string& name : std::vector<std::string>{"example.net", "_25._tcp.mx.example.net", R"(a\046b.example)",
                                                          R"(a\000\255.example)", R"(\092\032.example)"}) {
    const auto octets = make_name(name);
    ASSERT_TRUE(octets) << name;
    EXPECT_EQ(parse_name(*octets).value(), name);
  }
  EXPECT_EQ(parse_name(make_name("Example.NET.").value()).value(), "example.net");
  EXPECT_EQ(make_name("").value(), std::string(1, '\0'));
  EXPECT_EQ(make_name(".").value(), std::string(1, '\0'));
  const auto four = kLabel63 + "." + kLabel63 + "." + kLabel63 + ".";
  EXPECT_TRUE(make_name(four + std::string(61, 'a')));  // 255 octets on the wire
  EXPECT_FALSE(make_name(four + std::string(62, 'a')));
  for (const std::string& bad : std::vector<std::string>{"a..b", ".a", kLabel63 + "a", std::string(R"(a\25)"), std::string(R"(a\256)"),
                                                         std::string(R"(a\x)"), std::string("\\")})
    EXPECT_FALSE(make_name(bad)) << bad;
}

TEST(DnsRecords, TxtPutsItsStringsTogether) {  // RFC 7208 §3.3
  EXPECT_EQ(parse_txt(hex("03616263") + hex("0264"
                                            "65"))
                .value(),
            "abcde");
  EXPECT_EQ(parse_txt(hex("00")).value(), "");
  EXPECT_EQ(parse_txt(hex("0000")).value(), "");
  EXPECT_FALSE(parse_txt(""));
  EXPECT_FALSE(parse_txt(hex("046162")));
  for (const std::size_t size : {0U, 1U, 255U, 256U, 1000U}) {
    const std::string text(size, 'x');
    EXPECT_EQ(parse_txt(make_txt(text)).value(), text);
  }
}

TEST(DnsRecords, Tlsa) {
  const TlsaRecord record{3, 1, 1, hex("00ff")};
  EXPECT_EQ(parse_tlsa(hex("03010100ff")).value(), record);
  EXPECT_EQ(make_tlsa(record), hex("03010100ff"));
  EXPECT_EQ(to_string(record), "3 1 1 00ff");
  EXPECT_FALSE(parse_tlsa(""));
  EXPECT_FALSE(parse_tlsa(hex("0301")));
  EXPECT_FALSE(parse_tlsa(hex("030101")));  // no data
}

TEST(DnsRecords, HostNames) {
  for (const std::string& good :
       std::vector<std::string>{"a", "mx.example.net", "192.0.2.1", "_mta-sts.example.net", "a-b.example", std::string(63, 'a') + ".b"})
    EXPECT_TRUE(is_host_name(good)) << good;
  for (const std::string& bad :
       std::vector<std::string>{std::string(), std::string("."), std::string("a."), std::string(".a"), std::string("a..b"),
                                std::string("a b"), std::string("a\\046b"), std::string("a/b"), std::string("[192.0.2.1]"),
                                std::string("::1"), std::string(64, 'a'), std::string("b\xc3\xbc.example")})
    EXPECT_FALSE(is_host_name(bad)) << bad;
  EXPECT_FALSE(is_host_name(kLabel63 + "." + kLabel63 + "." + kLabel63 + "." + std::string(62, 'a')));
}

}  // namespace
}  // namespace relais::net
