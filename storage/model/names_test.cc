// Which mailbox names are taken, and how they are stored and sorted.
#include "storage/model/names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace relais::storage::model {
namespace {

TEST(Names, AreStoredInOneForm) {
  const std::pair<std::string, std::string> rows[] = {
      {"INBOX", "INBOX"},         {"inbox", "INBOX"},        {"InBox/x", "INBOX/x"},   {"inboxes", "inboxes"},       {"a/inbox", "a/inbox"},
      {"Gro\xCC\x88\xC3\x9F" "e", "Gr\xC3\xB6\xC3\x9F" "e"}, {"%*\"\\&", "%*\"\\&"},   {"#news.x", "#news.x"},       {" ", " "},
  };
  for (const auto& [in, out] : rows) {
    const auto name = normalize_name(in);
    ASSERT_TRUE(name) << in;
    EXPECT_EQ(*name, out);
    EXPECT_EQ(*normalize_name(*name), out);
  }
}

TEST(Names, RefusedOnes) {
  const std::string rows[] = {
      "", "/", "a/", "/a", "a//b", "a\x01" "b", "a\x7F", std::string("a\0b", 3), "\xFF", "\xC0\xAF", "a\xC2\x85" "b", "a\xE2\x80\xA8" "b", "a\xE2\x80\xA9",
      std::string(256, 'a'), std::string(1'001, 'a'), "a/" + std::string(256, 'b'),
  };
  for (const auto& name : rows) {
    const auto result = normalize_name(name);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().fault, Fault::refused);
    EXPECT_EQ(result.error().code, "CANNOT");
  }
  EXPECT_TRUE(normalize_name(std::string(255, 'a') + "/" + std::string(255, 'b')));
}

TEST(Names, InboxFirstAndChildrenAfterTheirParent) {
  std::vector<std::string> names = {"b", "INBOX/z", "a b", "a/b", "A", "a", "INBOX", "a/b/c", "a-b"};
  std::ranges::sort(names, name_less);
  EXPECT_EQ(names, (std::vector<std::string>{"INBOX", "INBOX/z", "A", "a", "a/b", "a/b/c", "a b", "a-b", "b"}));
}

TEST(Names, Parents) {
  EXPECT_EQ(parent_of("a/b/c"), "a/b");
  EXPECT_EQ(parent_of("a"), "");
  EXPECT_TRUE(is_below("a/b", "a"));
  EXPECT_FALSE(is_below("ab", "a"));
  EXPECT_FALSE(is_below("a", "a"));
}

}  // namespace
}  // namespace relais::storage::model
