// Finds the readable text of messages.
#include "imap/server/search_text.h"

#include "base/ascii.h"
#include "message/header.h"

namespace relais::imap {
namespace {

std::string header_text(std::string_view header) {
  std::string text;
  message::for_each_field(
      header, [&text](const message::Field& field) { text.append(field.name).append(": ").append(readable(field.value)).append("\n"); });
  return text;
}

}  // namespace

std::string_view readable(std::string_view value) {
  if (value.find('\n') == std::string_view::npos && value.find("=?") == std::string_view::npos && is_ascii(value)) return value;
  thread_local std::string decoded;
  decoded = message::decode_words(value);
  return decoded;
}

void SearchText::clear() {
  header_.clear();
  part_headers_.clear();
  texts_.clear();
}

bool SearchText::is_text(std::string_view mime_header) {
  const auto type = message::find_field(mime_header, "content-type");
  if (!type) return true;  // RFC 2045 §5.2: text/plain where nothing is said
  const auto value = trim(*type);
  return value.find('/') == std::string_view::npos || istarts_with(value, "text/") || istarts_with(value, "message/");
}

void SearchText::add_part_header(std::string_view header) { part_headers_ += header_text(header); }

void SearchText::add_part(std::string_view mime_header, message::Encoding encoding, std::string_view body) {
  if (!is_text(mime_header)) return;
  const auto type = message::find_field(mime_header, "content-type");
  const auto charset = type ? message::decoded_parameter(message::parse_parameterized(*type), "charset") : std::nullopt;
  auto octets = message::decode_transfer(encoding, body);
  auto text = message::to_utf8(octets, charset.value_or(""));
  texts_.push_back(text ? std::move(*text) : std::move(octets));
}

bool SearchText::found_in_headers(const message::Searcher& key) const {
  return key.found_in(header_text(header_)) || key.found_in(part_headers_);
}

// RFC 9051 §6.4.4: the empty string is in every text, also in one that is empty.
bool SearchText::found_in_body(const message::Searcher& key) const {
  return key.folded_key().empty() || std::ranges::any_of(texts_, [&key](const std::string& text) { return key.found_in(text); });
}

void read_text(SearchText& text, const storage::MessageView& view, SearchNeeds needs) {
  text.clear();
  const auto content = view.content;
  const auto split = message::header_end(content);
  text.set_header(content.substr(0, split));
  if (!needs.body) return;
  const auto structure = message::decode_parts(view.parts);
  if (!structure) {
    text.add_part({}, message::Encoding::seven_bit, content.substr(split));
    return;
  }
  const auto piece = [content](std::uint64_t begin, std::uint64_t end) {
    begin = std::min<std::uint64_t>(begin, content.size());
    end = std::clamp<std::uint64_t>(end, begin, content.size());
    return content.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  };
  for (const auto& part : structure->parts) {
    if (needs.part_headers && part.parent != message::kNoPart) text.add_part_header(piece(part.header_begin, part.body_begin));
    if (part.is_multipart || part.is_message) continue;
    text.add_part(piece(part.header_begin, part.body_begin), part.encoding, piece(part.body_begin, part.body_end));
  }
}

}  // namespace relais::imap
