// What people see.
#include "admin/output.h"

#include <gtest/gtest.h>

namespace relais::admin {
namespace {

TEST(Output, Octets) {
  EXPECT_EQ(human_octets(0), "0 B");
  EXPECT_EQ(human_octets(1023), "1023 B");
  EXPECT_EQ(human_octets(1536), "1.5 KB");
  EXPECT_EQ(human_octets(UINT64_MAX), "16384.0 PB");
}

TEST(Output, ColumnsLineUp) {
  const auto result = nlohmann::json::parse(R"({"domains": [{"domain": "a.example", "catch_all": ""}, {"domain": "longer.example", "catch_all": "x@a.example"}]})");
  EXPECT_EQ(to_text("domain list", result), "DOMAIN          CATCH-ALL\na.example       \nlonger.example  x@a.example\n");
}

TEST(Output, CheckSaysCleanOrHowManyProblems) {
  EXPECT_EQ(to_text("storage check", {{"keys", 1}, {"blobs", 2}, {"octets", 3}, {"problems", nlohmann::json::array()}}), "checked 1 keys and 2 messages (3 B)\nclean\n");
  EXPECT_EQ(to_text("storage check", {{"keys", 1}, {"blobs", 2}, {"octets", 3}, {"importing", 4}, {"sealed", 5}, {"problems", nlohmann::json::array()}}),
            "checked 1 keys and 2 messages (3 B)\n4 accounts are being brought here\n5 accounts were taken elsewhere and are kept sealed\nclean\n");
  EXPECT_EQ(to_text("storage check", {{"keys", 1}, {"blobs", 2}, {"octets", 3}, {"problems", {"x"}}}), "checked 1 keys and 2 messages (3 B)\nproblem: x\n1 problems\n");
}

}  // namespace
}  // namespace relais::admin
