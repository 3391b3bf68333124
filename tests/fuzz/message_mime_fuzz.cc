// Any octets as a message: the structure nests and stays within bounds, what is stored can be read back, and what clients get is
// well-formed IMAP.
#include <cstdlib>
#include <string>
#include <string_view>

#include "message/mime.h"
#include "message/summary.h"
#include "message/wire_grammar_testing.h"

using namespace relais;
using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void check_structure(const Structure& structure, std::size_t size) {
  const auto& parts = structure.parts;
  check(!parts.empty() && parts.size() <= kMaxParts && parts[0].end == parts.size() && parts[0].body_end == size);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    check(part.header_begin <= part.body_begin && part.body_begin <= part.body_end && part.depth <= kMaxDepth);
    check(part.end > i && part.end <= parts.size() && (part.end > i + 1) == (part.is_multipart || part.is_message));
    check(part.lines <= part.body_end - part.body_begin);
    if (i == 0) continue;
    const auto& parent = parts[part.parent];
    check(part.parent < i && part.end <= parent.end && part.depth == parent.depth + 1);
    check(part.header_begin >= parent.body_begin && part.body_end <= parent.body_end);
    if (parent.is_message) check(part.header_begin == parent.body_begin && part.body_end == parent.body_end && part.end == parent.end);
  }
}

void check_stored(const Structure& structure, const std::string& encoded) {
  const auto stored = decode_parts(encoded);
  check(stored.has_value() && stored->parts.size() == structure.parts.size() && encode_parts(*stored) == encoded);
  for (std::size_t i = 0; i < structure.parts.size(); ++i) {
    const auto& a = structure.parts[i];
    const auto& b = stored->parts[i];
    check(a.parent == b.parent && a.end == b.end && a.depth == b.depth && a.encoding == b.encoding);
    check(a.is_multipart == b.is_multipart && a.is_message == b.is_message);
    check(a.header_begin == b.header_begin && a.body_begin == b.body_begin && a.body_end == b.body_end);
  }
}

// Every part number up to a depth: what is found lies within the message.
void walk_sections(const Structure& structure, std::vector<std::uint32_t>& section, std::size_t size, int& budget) {
  for (const auto text : {SectionText::all, SectionText::header, SectionText::text, SectionText::mime}) {
    if (const auto range = find_section(structure, section, text)) check(range->begin <= range->end && range->end <= size);
  }
  for (std::uint32_t n = 1; section.size() < 6 && budget > 0; ++n) {
    section.push_back(n);
    const bool found = find(structure, section) != nullptr;
    if (found) {
      --budget;
      walk_sections(structure, section, size, budget);
    }
    section.pop_back();
    if (!found) break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  const auto structure = parse_structure(message);
  check_structure(structure, size);
  std::vector<std::uint32_t> section;
  int budget = 200;
  walk_sections(structure, section, size, budget);

  auto summary = summarize(message);
  check_stored(structure, summary.parts);
  using relais::message::testing::WireGrammar;
  check(WireGrammar::check_envelope(summary.envelope).empty());
  check(WireGrammar::check_body(summary.body, false).empty());
  check(WireGrammar::check_body(summary.body_structure, true).empty());
  check(summary.header_fields.size() <= kMaxCachedHeader && (summary.header_fields_complete || summary.header_fields.empty()));

  // A message that begins with white space would continue the last trace field: no header does.
  if (!message.starts_with(' ') && !message.starts_with('\t')) {
    const std::string trace = "Return-Path: <a@b.example>\r\nReceived: x\r\n";
    const auto whole = summarize(trace + message);
    shift(summary, trace);
    check(summary.envelope == whole.envelope && summary.body == whole.body && summary.body_structure == whole.body_structure);
    check(summary.parts == whole.parts && summary.header_fields == whole.header_fields);
  }
  return 0;
}
