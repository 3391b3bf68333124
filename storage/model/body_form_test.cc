// BODY made of BODYSTRUCTURE is the BODY that summarize() makes.
#include "storage/model/body_form.h"

#include "message/summary.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

namespace relais::storage::model {
namespace {

std::string body_of(const std::string& structure) {
  std::string out;
  const auto done = append_body(out, structure);
  return done ? out : "error";
}

TEST(BodyForm, FromTheRfc) {
  const std::pair<std::string, std::string> rows[] = {
      {R"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92 NIL NIL NIL NIL))", R"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))"},
      {R"((("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL ("INLINE" NIL) NIL NIL)("IMAGE" "GIF" NIL NIL "d" "BASE64" 4 NIL NIL NIL NIL) "MIXED" ("B" "x") NIL NIL NIL))",
       R"((("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)("IMAGE" "GIF" NIL NIL "d" "BASE64" 4) "MIXED"))"},
      {"(\"TEXT\" \"X\" (\"N\" {5}\r\na)b(c) NIL \"q\\\")\" \"8BIT\" 1 1 \"md5\" NIL NIL NIL)", "(\"TEXT\" \"X\" (\"N\" {5}\r\na)b(c) NIL \"q\\\")\" \"8BIT\" 1 1)"},
      {R"(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 (NIL "s" NIL) ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL))",
       R"(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 (NIL "s" NIL) ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1) 3))"},
  };
  for (const auto& [structure, body] : rows) EXPECT_EQ(body_of(structure), body);
}

TEST(BodyForm, DamagedOnesAreErrorsAndLeaveNothing) {
  for (const std::string in : {"", "(", ")", "()", "(\"TEXT\"", "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1)", "(\"A\" \"B\" NIL NIL NIL \"7BIT\" 1) ", "(\"A\" {99}\r\nx)"}) {
    std::string out = "kept";
    EXPECT_FALSE(append_body(out, in)) << in;
    EXPECT_EQ(out, "kept");
  }
  std::string out;
  EXPECT_FALSE(append_body(out, std::string(100'000, '(')));
}

TEST(BodyForm, OfEveryMessageOfTheCorpus) {
  const char* shared = std::getenv("RELAIS_SHARED");
  const auto corpus = (shared != nullptr ? std::filesystem::path(shared) : std::filesystem::path(RELAIS_SOURCE_DIR) / ".." / "shared") / "corpus";
  if (!std::filesystem::is_directory(corpus)) {
    std::cout << "the shared corpus is not here: nothing was run against it\n";
    return;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(corpus)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string octets(std::istreambuf_iterator<char>(file), {});
    const auto summary = message::summarize(octets);
    EXPECT_EQ(body_of(summary.body_structure), summary.body) << entry.path();
  }
}

}  // namespace
}  // namespace relais::storage::model
