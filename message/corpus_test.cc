// Real and malformed mail from the shared corpus, where it is at hand.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "message/mime.h"
#include "message/summary.h"
#include "message/wire_grammar_testing.h"

namespace relais::message {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> torture_directory() {
  const char* shared = std::getenv("RELAIS_SHARED");
  for (const auto& base : {fs::path(shared ? shared : ""), fs::path(RELAIS_SOURCE_DIR) / ".." / "shared"}) {
    std::error_code error;
    if (!base.empty() && fs::is_directory(base / "corpus" / "torture", error)) return base / "corpus" / "torture";
  }
  return std::nullopt;
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string with_crlf(std::string_view text) {
  std::string out;
  char before = '\0';
  for (const char c : text) {
    if (c == '\n' && before != '\r') out.push_back('\r');
    out.push_back(c);
    before = c;
  }
  return out;
}

void check_ranges(const Structure& structure, std::size_t size) {
  for (std::size_t i = 0; i < structure.parts.size(); ++i) {
    const auto& part = structure.parts[i];
    ASSERT_LE(part.header_begin, part.body_begin);
    ASSERT_LE(part.body_begin, part.body_end);
    ASSERT_LE(part.body_end, size);
    ASSERT_GT(part.end, i);
    if (part.parent == kNoPart) continue;
    const auto& parent = structure.parts[part.parent];
    ASSERT_GE(part.header_begin, parent.body_begin);
    ASSERT_LE(part.body_end, parent.body_end);
    ASSERT_EQ(part.depth, parent.depth + 1);
  }
}

void check_message(std::string_view message) {
  const auto summary = summarize(message);
  EXPECT_EQ(testing::WireGrammar::check_envelope(summary.envelope), "") << summary.envelope;
  EXPECT_EQ(testing::WireGrammar::check_body(summary.body_structure, true), "") << summary.body_structure;
  EXPECT_EQ(testing::WireGrammar::check_body(summary.body, false), "") << summary.body;
  const auto structure = parse_structure(message);
  check_ranges(structure, message.size());
  const auto decoded = decode_parts(summary.parts);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().detail;
  ASSERT_EQ(decoded->parts.size(), structure.parts.size());
  for (std::size_t i = 0; i < structure.parts.size(); ++i) {
    EXPECT_EQ(decoded->parts[i].header_begin, structure.parts[i].header_begin);
    EXPECT_EQ(decoded->parts[i].body_begin, structure.parts[i].body_begin);
    EXPECT_EQ(decoded->parts[i].body_end, structure.parts[i].body_end);
    EXPECT_EQ(decoded->parts[i].parent, structure.parts[i].parent);
    EXPECT_EQ(decoded->parts[i].end, structure.parts[i].end);
  }
}

TEST(Corpus, EveryTortureMessageHasAWellFormedEnvelopeAndStructure) {
  const auto directory = torture_directory();
  if (!directory) {
    std::cout << "the shared corpus is not here: nothing was run against it\n";
    return;
  }
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(*directory)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".json") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto text = read_file(entry.path());
    check_message(with_crlf(text));
    check_message(text);
    ++count;
  }
  EXPECT_GT(count, 800U);
}

}  // namespace
}  // namespace relais::message
