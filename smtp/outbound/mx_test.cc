// MX records: order, chance, null MX, ourselves, and what is not a host.
#include "smtp/outbound/mx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace relais::smtp {
namespace {

using net::MxRecord;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> rdata(const std::vector<MxRecord>& records) {
  std::vector<std::string> out;
  for (const auto& record : records) out.push_back(net::make_mx(record).value());
  return out;
}

TEST(Mx, ByPreference) {
  const auto set = read_mx(rdata({{20, "c.example"}, {5, "a.example"}, {10, "b.example"}, {65535, "d.example"}}));
  EXPECT_THAT(set.records,
              ElementsAre(MxRecord{5, "a.example"}, MxRecord{10, "b.example"}, MxRecord{20, "c.example"}, MxRecord{65535, "d.example"}));
}

TEST(Mx, AtRandomAmongEquals) {  // RFC 5321 §5.1
  std::set<std::string> first;
  for (int i = 0; i < 500 && first.size() < 3; ++i) {
    const auto set = read_mx(rdata({{10, "a.example"}, {10, "b.example"}, {10, "c.example"}, {20, "d.example"}}));
    first.insert(set.records.front().host);
    EXPECT_EQ(set.records.back().host, "d.example");
  }
  EXPECT_EQ(first.size(), 3U);
}

TEST(Mx, NullMx) {  // RFC 7505 §3
  EXPECT_TRUE(read_mx(rdata({{0, ""}})).null);
  const auto beside_others = read_mx(rdata({{0, ""}, {10, "a.example"}}));
  EXPECT_FALSE(beside_others.null);
  EXPECT_THAT(beside_others.records, ElementsAre(MxRecord{10, "a.example"}));
}

TEST(Mx, WhatIsNoHostIsLeftOut) {
  auto octets = rdata({{10, R"(a\032b.example)"}, {20, "good.example"}, {30, R"(\042.example)"}});
  octets.emplace_back("\0\x0a\xc0\x0c", 4);  // a compression pointer
  octets.emplace_back("");
  EXPECT_THAT(read_mx(octets).records, ElementsAre(MxRecord{20, "good.example"}));
  EXPECT_THAT(read_mx({}).records, IsEmpty());
}

TEST(Mx, AHostListedTwiceIsTriedOnce) {
  EXPECT_THAT(read_mx(rdata({{20, "a.example"}, {10, "A.example"}, {15, "b.example"}})).records,
              ElementsAre(MxRecord{10, "a.example"}, MxRecord{15, "b.example"}));
}

TEST(Mx, TwoHundredAndTenThousandRecords) {
  std::vector<MxRecord> many;
  for (int i = 0; i < 10'000; ++i) many.push_back({static_cast<std::uint16_t>(i % 50), "mx" + std::to_string(i) + ".example"});
  const auto set = read_mx(rdata(many));
  EXPECT_EQ(set.records.size(), many.size());
  EXPECT_TRUE(std::ranges::is_sorted(set.records, {}, &MxRecord::preference));
}

TEST(Mx, OurselvesAndWhatIsNotBetter) {  // RFC 5321 §5.1
  const std::vector<MxRecord> all{{5, "best.example"}, {10, "equal.example"}, {10, "us.example"}, {20, "worse.example"}};
  const auto is = [](std::string name) { return [name](const MxRecord& record) { return record.host == name; }; };
  auto records = all;
  EXPECT_TRUE(drop_from_ourselves(records, is("us.example")));
  EXPECT_THAT(records, ElementsAre(MxRecord{5, "best.example"}));
  records = all;
  EXPECT_TRUE(drop_from_ourselves(records, is("best.example")));
  EXPECT_THAT(records, IsEmpty());
  records = all;
  EXPECT_FALSE(drop_from_ourselves(records, is("other.example")));
  EXPECT_EQ(records.size(), all.size());
}

}  // namespace
}  // namespace relais::smtp
