// Real and malformed mail from the shared corpus, where it is at hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/ascii.h"
#include "message/decode.h"
#include "message/downgrade.h"
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

// Text whatever its line ends: CRLF, LF or CR.
std::string with_any_line_end_as_crlf(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      out.push_back(text[i]);
      continue;
    }
    if (text.substr(i, 2) == "\r\n") ++i;
    out += "\r\n";
  }
  return out;
}

// What a reader gets from a part: decoded, and in text one kind of line end.
std::string content_of(std::string_view message, const Part& part) {
  auto text = decode_transfer(part.encoding, message.substr(part.body_begin, part.body_end - part.body_begin));
  if (part.type == "text" || part.type == "message") text = with_any_line_end_as_crlf(text);
  while (text.ends_with("\r\n")) text.resize(text.size() - 2);
  return text;
}

// Converted for a host without 8BITMIME, a message has the same parts with the same content, or it is refused.
void check_downgrade(std::string_view message) {
  const auto seven = to_seven_bit(message);
  if (!seven) {
    EXPECT_EQ(seven.error().fault, Fault::refused);
    return;
  }
  EXPECT_TRUE(is_ascii(*seven));
  const auto before = parse_structure(message);
  const auto after = parse_structure(*seven);
  if (before.parts.size() != after.parts.size()) {
    // Only what was encoded whole may have lost parts that can be seen.
    EXPECT_TRUE(std::ranges::any_of(before.parts, [](const Part& part) { return part.is_message && part.subtype == "global"; }));
    return;
  }
  for (std::size_t i = 0; i < before.parts.size(); ++i) {
    const auto& old = before.parts[i];
    EXPECT_EQ(after.parts[i].type + "/" + after.parts[i].subtype, old.type + "/" + old.subtype);
    if (old.end != i + 1 || old.is_multipart || old.is_message) continue;
    EXPECT_TRUE(content_of(message, old) == content_of(*seven, after.parts[i])) << "part " << i;
  }
}

void check_message(std::string_view message) {
  const auto summary = summarize(message);
  check_downgrade(message);
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
