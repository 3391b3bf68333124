// Splits a message into its MIME parts in one pass, and finds IMAP sections among them.
#include "message/mime.h"

#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "message/header.h"
#include "message/lexer.h"

namespace relais::message {
namespace {

MimeFields collect_fields(std::string_view header) {
  MimeFields fields;
  // The first of several fields of one name counts.
  const auto take = [](std::string_view& slot, std::string_view value) {
    if (slot.data() == nullptr) slot = value;
  };
  for_each_field(header, [&](const Field& field) {
    if (field.name.size() < 10 || ascii_lower(field.name[0]) != 'c' || !istarts_with(field.name, "content-")) return;
    const auto what = field.name.substr(8);
    switch (ascii_lower(what.front())) {
      case 'd':
        if (iequals(what, "description"))
          take(fields.description, field.value);
        else if (iequals(what, "disposition"))
          take(fields.disposition, field.value);
        break;
      case 'i':
        if (iequals(what, "id")) take(fields.id, field.value);
        break;
      case 'l':
        if (iequals(what, "language"))
          take(fields.language, field.value);
        else if (iequals(what, "location"))
          take(fields.location, field.value);
        break;
      case 'm':
        if (iequals(what, "md5")) take(fields.md5, field.value);
        break;
      case 't':
        if (iequals(what, "type"))
          take(fields.content_type, field.value);
        else if (iequals(what, "transfer-encoding"))
          take(fields.transfer_encoding, field.value);
        break;
      default: break;
    }
  });
  return fields;
}

constexpr std::size_t kMaxTypeName = 127;  // octets; RFC 6838 §4.2

// Reads "type/subtype" only. RFC 2045 §5.2: what is malformed counts as text/plain.
bool read_type(std::string_view value, std::string& type, std::string& subtype) {
  Lexer in(value);
  in.skip_cfws();
  const auto major = in.token();
  in.skip_cfws();
  if (!in.accept('/')) return false;
  in.skip_cfws();
  const auto minor = in.token();
  if (major.empty() || minor.empty() || !is_ascii(major) || !is_ascii(minor)) return false;
  if (major.size() > kMaxTypeName || minor.size() > kMaxTypeName) return false;
  type = to_lower(major);
  subtype = to_lower(minor);
  return true;
}

std::string boundary_of(std::string_view content_type) {
  auto parsed = parse_parameterized(content_type);
  for (auto& parameter : parsed.parameters) {
    if (parameter.name != "boundary") continue;
    // RFC 2046 §5.1.1: a boundary never ends with white space.
    while (!parameter.value.empty() && is_fws(parameter.value.back())) parameter.value.pop_back();
    return std::move(parameter.value);
  }
  return {};
}

// Invariants: parts are added in pre-order and closed innermost first. open_ holds the multiparts whose boundaries are still looked for,
// outermost first; each is an ancestor of cur_ or cur_ itself. lf_ counts the line ends before line_.
class StructureParser {
 public:
  explicit StructureParser(std::string_view message) : message_(message) {}

  Structure run() {
    open_part(kNoPart, 0);
    read_header();
    while (scan_body()) {
    }
    close_down_to(kNoPart, message_.size(), lf_, lf_);
    return std::move(out_);
  }

 private:
  struct OpenMultipart {
    std::uint32_t part;
    std::string boundary;
  };
  struct Delimiter {
    std::size_t open;  // index in open_
    bool final;        // "--boundary--"
  };

  Part& current() { return out_.parts[cur_]; }

  void open_part(std::uint32_t parent, std::uint64_t begin) {
    Part part;
    part.parent = parent;
    part.depth = parent == kNoPart ? std::uint16_t{0} : static_cast<std::uint16_t>(out_.parts[parent].depth + 1);
    part.header_begin = part.body_begin = part.body_end = begin;
    cur_ = static_cast<std::uint32_t>(out_.parts.size());
    out_.parts.push_back(std::move(part));
  }

  // Offset behind the line that starts at line_; counts it.
  std::size_t next_line() {
    const void* lf = std::memchr(message_.data() + line_, '\n', message_.size() - line_);
    if (!lf) return message_.size();
    ++lf_;
    return static_cast<std::size_t>(static_cast<const char*>(lf) - message_.data()) + 1;
  }

  bool at_empty_line() const {
    return message_[line_] == '\n' || (message_[line_] == '\r' && line_ + 1 < message_.size() && message_[line_ + 1] == '\n');
  }

  // The boundary that the line at line_ starts with: the longest that fits, the innermost of equals.
  std::optional<Delimiter> delimiter() const {
    if (open_.empty() || message_.size() - line_ < 3 || message_[line_] != '-' || message_[line_ + 1] != '-') return std::nullopt;
    const auto text = message_.substr(line_ + 2);
    std::optional<Delimiter> best;
    std::size_t best_length = 0;
    for (std::size_t i = open_.size(); i-- > 0;) {
      const auto& boundary = open_[i].boundary;
      if (boundary.size() <= best_length || !text.starts_with(boundary)) continue;
      best_length = boundary.size();
      best = Delimiter{i, text.substr(boundary.size()).starts_with("--")};
    }
    return best;
  }

  // From the first line of cur_'s header to its end, then decides what the part is. A boundary ends the header too (RFC 2046 §5.1).
  void read_header() {
    for (;;) {
      std::optional<Delimiter> found;
      bool complete = false;
      while (line_ < message_.size() && !complete && !(found = delimiter())) {
        complete = at_empty_line();
        line_ = next_line();
      }
      const auto body = found ? std::max<std::size_t>(line_end_before(line_), current().header_begin) : line_;
      current().body_begin = current().body_end = body;
      begin_lines_.resize(out_.parts.size());
      begin_lines_[cur_] = lf_;
      classify();
      if (!current().is_message) return;
      open_part(cur_, body);  // the embedded message starts with its header, right here
    }
  }

  void classify() {
    Part& part = current();
    part.fields = collect_fields(message_.substr(part.header_begin, part.body_begin - part.header_begin));
    if (part.fields.transfer_encoding.data()) part.encoding = parse_encoding(part.fields.transfer_encoding);
    if (!part.fields.content_type.data()) {
      // RFC 2046 §5.1.5: within a digest the default is message/rfc822.
      const bool digest = part.parent != kNoPart && out_.parts[part.parent].is_multipart && out_.parts[part.parent].subtype == "digest";
      part.type = digest ? "message" : "text";
      part.subtype = digest ? "rfc822" : "plain";
    } else if (!read_type(part.fields.content_type, part.type, part.subtype)) {
      part.type = "text";
      part.subtype = "plain";
    }
    const bool multipart = part.type == "multipart";
    const bool message = part.type == "message" && (part.subtype == "rfc822" || part.subtype == "global");
    if (!multipart && !message) return;
    if (part.depth >= kMaxDepth || out_.parts.size() >= kMaxParts) {
      part.type = "application";
      part.subtype = "octet-stream";
      return;
    }
    part.is_multipart = multipart;
    part.is_message = message;
    if (!multipart) return;
    // Without a boundary nothing can be found in it: it stays a multipart without parts.
    if (auto boundary = boundary_of(part.fields.content_type); !boundary.empty()) open_.push_back({cur_, std::move(boundary)});
  }

  // Moves through cur_'s body to the next boundary and past it. False at the end of the message.
  bool scan_body() {
    if (open_.empty()) {
      lf_ += static_cast<std::uint64_t>(std::count(message_.begin() + static_cast<std::ptrdiff_t>(line_), message_.end(), '\n'));
      line_ = message_.size();
      return false;
    }
    while (line_ < message_.size()) {
      const auto found = delimiter();
      if (!found) {
        line_ = next_line();
        continue;
      }
      // One more may be needed for a multipart that is closed here without having any.
      if (!found->final && out_.parts.size() + 1 >= kMaxParts) {
        open_.clear();
        return true;
      }
      const auto multipart = open_[found->open].part;
      const auto content_end = line_end_before(line_);
      close_down_to(multipart, content_end, content_end < line_ ? lf_ - 1 : lf_, lf_);
      open_.resize(found->open + (found->final ? 0U : 1U));
      line_ = next_line();
      if (found->final || line_ == message_.size()) {
        cur_ = multipart;  // what follows is its epilogue; or nothing does
      } else {
        open_part(multipart, line_);
        read_header();
      }
      return true;
    }
    return false;
  }

  // The line end before a boundary is part of the boundary (RFC 2046 §5.1.1).
  std::size_t line_end_before(std::size_t line) const {
    if (line == 0 || message_[line - 1] != '\n') return line;
    return line >= 2 && message_[line - 2] == '\r' ? line - 2 : line - 1;
  }

  // Closes cur_ and its ancestors below `stop`, which stays open. end_lf: line ends before `end`; line_lf: before line_.
  void close_down_to(std::uint32_t stop, std::size_t end, std::uint64_t end_lf, std::uint64_t line_lf) {
    std::uint64_t inner_end = 0;
    while (cur_ != stop) {
      if (current().is_multipart && out_.parts.size() == cur_ + 1) inner_end = add_empty_child(end);
      Part& part = current();
      part.body_end = std::max({part.body_begin, static_cast<std::uint64_t>(end), inner_end});
      inner_end = part.body_end;
      if (part.body_end > part.body_begin) part.lines = (part.body_end > end ? line_lf : end_lf) - begin_lines_[cur_];
      part.end = static_cast<std::uint32_t>(out_.parts.size());
      cur_ = part.parent;
    }
  }

  std::uint64_t add_empty_child(std::size_t end) {
    Part child;
    child.parent = cur_;
    child.depth = static_cast<std::uint16_t>(current().depth + 1);
    child.header_begin = child.body_begin = child.body_end = std::max<std::uint64_t>(current().body_begin, end);
    child.type = "text";
    child.subtype = "plain";
    child.end = static_cast<std::uint32_t>(out_.parts.size() + 1);
    out_.parts.push_back(std::move(child));
    begin_lines_.push_back(lf_);
    return out_.parts.back().body_end;
  }

  const std::string_view message_;
  Structure out_;
  std::vector<OpenMultipart> open_;
  std::vector<std::uint64_t> begin_lines_;  // per part: line ends before its body
  std::uint32_t cur_ = kNoPart;
  std::size_t line_ = 0;
  std::uint64_t lf_ = 0;
};

// The n-th child, counted from 1.
const Part* child(const Structure& structure, std::uint32_t parent, std::uint32_t number) noexcept {
  const auto end = structure.parts[parent].end;
  std::uint32_t index = parent + 1;
  while (index < end && number > 1) {
    index = structure.parts[index].end;
    --number;
  }
  return index < end && number == 1 ? &structure.parts[index] : nullptr;
}

}  // namespace

Structure parse_structure(std::string_view message) { return StructureParser(message).run(); }

const Part* find(const Structure& structure, std::span<const std::uint32_t> section) noexcept {
  if (structure.parts.empty()) return nullptr;
  const Part* part = structure.parts.data();
  // A message that is no multipart has one part, number 1: itself. A part that is no multipart has none, unless it holds a message.
  bool as_message = true;
  for (const auto number : section) {
    auto index = static_cast<std::uint32_t>(part - structure.parts.data());
    if (!as_message && part->is_message) {
      if (index + 1 >= structure.parts.size()) return nullptr;
      part = &structure.parts[++index];
      as_message = true;
    }
    if (part->is_multipart) {
      part = child(structure, index, number);
      if (!part) return nullptr;
    } else if (!as_message || number != 1) {
      return nullptr;
    }
    as_message = false;
  }
  return part;
}

std::optional<OctetRange> find_section(const Structure& structure, std::span<const std::uint32_t> section, SectionText text) noexcept {
  const Part* part = find(structure, section);
  if (!part) return std::nullopt;
  const bool whole = section.empty();
  if (text == SectionText::all) return OctetRange{whole ? part->header_begin : part->body_begin, part->body_end};
  if (text == SectionText::mime) {
    if (whole) return std::nullopt;
    return OctetRange{part->header_begin, part->body_begin};
  }
  const Part* message = part;
  if (!whole) {
    if (!part->is_message) return std::nullopt;
    message = part + 1;
  }
  if (text == SectionText::header) return OctetRange{message->header_begin, message->body_begin};
  return OctetRange{message->body_begin, message->body_end};
}

}  // namespace relais::message
