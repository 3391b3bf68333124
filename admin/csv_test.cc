// CSV of account import: columns in any order, quotes, line numbers in errors.
#include "admin/csv.h"

#include <gtest/gtest.h>

#include <sstream>

namespace relais::admin {
namespace {

auto read(const char* text) {
  std::istringstream in(text);
  return read_account_csv(in);
}

TEST(Csv, ColumnsMayComeInAnyOrder) {
  const auto rows = read("Quota, address ,password_hash\r\n2GB,a@x.example,{PLAIN}x\r\n\r\n,b@x.example,\r\n");
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].dump(), R"({"address":"a@x.example","line":2,"password_hash":"{PLAIN}x","quota_octets":2147483648})");
  EXPECT_EQ((*rows)[1]["line"], 4);
  EXPECT_EQ((*rows)[1]["quota_octets"], 0);
}

TEST(Csv, NamesOnALegacyPlatform) {
  const auto rows = read("address,legacy_user\na@x.example,a17\nb@x.example,\n");
  ASSERT_TRUE(rows);
  EXPECT_EQ((*rows)[0]["legacy_user"], "a17");
  EXPECT_FALSE((*rows)[1].contains("legacy_user"));
}

TEST(Csv, QuotedFieldsKeepCommasQuotesAndLineEnds) {
  const auto rows = read("address,password\n\"a,\"\"b\"\"\nc\",\"{PLAIN}x,y\"\nd,e");
  ASSERT_TRUE(rows);
  EXPECT_EQ((*rows)[0]["address"], "a,\"b\"\nc");
  EXPECT_EQ((*rows)[0]["password_hash"], "{PLAIN}x,y");
  EXPECT_EQ((*rows)[1]["line"], 4);
}

TEST(Csv, ErrorsNameTheLine) {
  for (const auto& [text, expected] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "empty"}, {"user_name,x\na,b\n", "line 1"}, {"address\n\"a", "line 2"}, {"address\n\"a\"b\n", "line 2"}, {"address,quota\na,much\n", "line 2"},
           {"address,quota\na,99999999999TB\n", "line 2"}}) {
    const auto rows = read(text);
    ASSERT_FALSE(rows) << text;
    EXPECT_NE(rows.error().text.find(expected), std::string::npos) << rows.error().text;
  }
}

TEST(Csv, AccountList) {
  std::istringstream in("verdict,ADDRESS,x,group\ngreen,A@x.test,1,g\nred,b@x.test,1,\nfailed,c@x.test\namber,\"d@x.test\"\n");
  const auto list = read_account_list(in);
  ASSERT_TRUE(list);
  EXPECT_EQ(nlohmann::json(list->rows).dump(), R"([{"address":"a@x.test","group":"g"},{"address":"d@x.test","group":""}])");
  EXPECT_EQ(list->left_out, 2U);
  for (const auto* text : {"", "group\nx\n", "address\n,\n"}) {
    std::istringstream wrong(text);
    EXPECT_FALSE(read_account_list(wrong)) << text;
  }
}

}  // namespace
}  // namespace relais::admin
