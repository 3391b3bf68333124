// Converts a message for a server without 8BITMIME or BINARYMIME.
#include "message/downgrade.h"

#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "message/decode.h"
#include "message/downgrade_header.h"
#include "message/encode.h"
#include "message/header.h"
#include "message/line_end.h"
#include "message/mime.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxLine = 998;  // octets without CRLF: RFC 2045 §2.7, §2.8

enum class Target : std::uint8_t { seven_bit, eight_bit };

std::unexpected<Error> no_conversion(std::string_view why) { return fail(Fault::refused, why, "5.6.3"); }

bool has_long_line(std::string_view octets) {
  while (octets.size() > kMaxLine) {
    const auto end = octets.find('\n');
    if (std::min(end, octets.size()) > kMaxLine + 1) return true;
    if (end == std::string_view::npos) return false;
    octets.remove_prefix(end + 1);
  }
  return false;
}

class Downgrader {
 public:
  Downgrader(std::string_view message, Target target) : message_(message), target_(target), structure_(parse_structure(message)) {}

  Result<std::string> run() {
    out_.reserve(message_.size() + message_.size() / 8);
    RELAIS_TRY_VOID(write(0, false));
    return std::move(out_);
  }

 private:
  using Index = std::uint32_t;

  std::string_view octets(std::uint64_t begin, std::uint64_t end) const { return message_.substr(begin, end - begin); }
  std::string_view body(const Part& part) const { return octets(part.body_begin, part.body_end); }
  bool ascii() const { return target_ == Target::seven_bit; }
  std::string_view target_name() const { return ascii() ? "7bit" : "8bit"; }

  // A message/global may itself be encoded (RFC 6532 §3.7), so there is no need to look into it.
  static bool is_leaf(const Part& part) { return !part.is_multipart && !(part.is_message && part.subtype == "rfc822"); }
  /// Binary content, where each octet counts; in text a line end is a line end.
  static bool is_exact(const Part& part) { return part.encoding == Encoding::binary || part.type != "text"; }

  /// Does a leaf's body hold what the target does not allow?
  bool violates(const Part& part) const {
    const auto text = body(part);
    if (ascii() && !is_ascii(text)) return true;
    if (text.contains('\0')) return true;
    if (is_exact(part) && has_lone_line_end(text)) return true;
    return part.encoding == Encoding::binary && has_long_line(text);
  }

  bool any_violates(Index first, Index last) const {
    for (auto i = first; i < last; ++i) {
      const auto& part = structure_.parts[i];
      if (ascii() && !is_ascii(octets(part.header_begin, part.body_begin))) return true;
      if (is_leaf(part)) {
        if (violates(part)) return true;
        i = part.end - 1;
      }
    }
    return false;
  }

  Result<void> write(Index index, bool is_message);
  Result<void> write_leaf(const Part& part, bool is_message);
  Result<void> write_container(Index index, bool is_message);
  Result<void> write_header(const Part& part, std::string_view encoding, bool is_message);
  void write_encoded(const Part& part, Encoding encoding);
  Encoding choose(const Part& part, std::string_view octets) const;
  /// A label that promises more than the target allows must not stay.
  std::string_view relabel(const Part& part) const {
    const bool too_much = part.encoding == Encoding::binary || (part.encoding == Encoding::eight_bit && ascii());
    return too_much ? target_name() : std::string_view{};
  }

  const std::string_view message_;
  const Target target_;
  const Structure structure_;
  std::string out_;
};

Result<void> Downgrader::write(Index index, bool is_message) {
  const auto& part = structure_.parts[index];
  is_message = is_message || index == 0;
  return is_leaf(part) ? write_leaf(part, is_message) : write_container(index, is_message);
}

Result<void> Downgrader::write_leaf(const Part& part, bool is_message) {
  if (!violates(part)) {
    RELAIS_TRY_VOID(write_header(part, relabel(part), is_message));
    append_clean(out_, body(part), false);
    return {};
  }
  if (part.type == "message" && (part.subtype == "partial" || part.subtype == "external-body"))
    return no_conversion("a message fragment cannot be converted");
  // RFC 2046 §5.1, §5.2.1: neither may be encoded as a whole. Here it is too deep to be taken apart, or there are too many parts.
  const auto type = to_lower(trim(unfold(part.fields.content_type)));
  const bool composite = type.starts_with("multipart/") || type.starts_with("message/rfc822");
  if (composite || structure_.parts.size() >= kMaxParts) return no_conversion("the message has too many parts to be converted");
  if (part.encoding == Encoding::unknown) return no_conversion("a part with an unknown transfer encoding cannot be converted");
  const bool decoded = part.encoding == Encoding::base64 || part.encoding == Encoding::quoted_printable;
  const auto encoding = decoded ? part.encoding : choose(part, body(part));
  RELAIS_TRY_VOID(write_header(part, to_string(encoding), is_message));
  write_encoded(part, encoding);
  return {};
}

// Quoted-printable for text that is mostly ASCII: a person can read it. Each escape costs two octets more, base64 a third of everything.
Encoding Downgrader::choose(const Part& part, std::string_view text) const {
  if (part.type != "text" && part.type != "message") return Encoding::base64;
  if (part.is_message || (part.encoding == Encoding::binary && has_lone_line_end(text))) return Encoding::base64;
  const auto escapes = static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0x7F || c == '=' || c == 0; }));
  return escapes * 6 <= text.size() ? Encoding::quoted_printable : Encoding::base64;
}

void Downgrader::write_encoded(const Part& part, Encoding encoding) {
  auto text = body(part);
  std::string decoded;
  if (part.encoding == Encoding::base64 || part.encoding == Encoding::quoted_printable) {
    decoded = decode_transfer(part.encoding, text);
    text = decoded;
  } else if (!is_exact(part) && has_lone_line_end(text)) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\r' && text[i] != '\n') {
        decoded.push_back(text[i]);
        continue;
      }
      if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
      decoded += "\r\n";
    }
    text = decoded;
  }
  if (encoding == Encoding::base64)
    append_base64_lines(out_, text);
  else
    append_quoted_printable(out_, text, !is_exact(part));
  if (part.body_end == message_.size() && !out_.ends_with("\r\n")) out_ += "\r\n";
}

Result<void> Downgrader::write_container(Index index, bool is_message) {
  const auto& part = structure_.parts[index];
  const bool signed_part = part.is_multipart && part.subtype == "signed";
  const bool encoded = part.encoding != Encoding::seven_bit && part.encoding != Encoding::eight_bit && part.encoding != Encoding::binary;
  // A multipart whose boundary was not found has one empty part, made up.
  const auto& first = structure_.parts[index + 1];
  const bool hollow = part.is_multipart && part.end == index + 2 && first.header_begin == first.body_end;
  if (hollow && !is_ascii(body(part)) && ascii()) return no_conversion("a multipart without its parts cannot be converted");
  if (signed_part || encoded) {
    if (any_violates(index + 1, part.end))
      return no_conversion(signed_part ? "a signed part cannot be converted" : "an encoded multipart cannot be converted");
    RELAIS_TRY_VOID(write_header(part, relabel(part), is_message));
    append_clean(out_, body(part), ascii());
    return {};
  }
  RELAIS_TRY_VOID(write_header(part, relabel(part), is_message));
  auto at = part.body_begin;
  for (auto i = index + 1; i < part.end; i = structure_.parts[i].end) {
    const auto& child = structure_.parts[i];
    if (child.header_begin > at) append_clean(out_, octets(at, child.header_begin), ascii());  // preamble, delimiters
    RELAIS_TRY_VOID(write(i, part.is_message));
    at = std::max(at, child.body_end);
  }
  if (part.body_end > at) append_clean(out_, octets(at, part.body_end), ascii());
  return {};
}

// `encoding`: what Content-Transfer-Encoding is to say; empty: as it is.
Result<void> Downgrader::write_header(const Part& part, std::string_view encoding, bool is_message) {
  const auto header = octets(part.header_begin, part.body_begin);
  bool written = false;
  bool has_version = false;
  bool has_type = false;
  Field field;
  std::size_t pos = 0;
  const auto write_encoding = [&] {
    if (!std::exchange(written, true)) out_.append("Content-Transfer-Encoding: ").append(encoding).append("\r\n");
  };
  while (next_field(header, pos, field)) {
    if (iequals(field.name, "MIME-Version")) has_version = true;
    if (iequals(field.name, "Content-Type")) has_type = true;
    if (!encoding.empty() && iequals(field.name, "Content-Transfer-Encoding")) {
      write_encoding();
    } else if (ascii()) {
      RELAIS_TRY_VOID(append_seven_bit_field(out_, field));
    } else {
      append_clean(out_, field.raw, false);
    }
  }
  if (!encoding.empty()) {
    if (!out_.empty() && !out_.ends_with("\r\n")) out_ += "\r\n";
    const bool encoded = encoding != target_name();
    if (encoded && is_message && !has_version) out_ += "MIME-Version: 1.0\r\n";
    // RFC 2045 §5.2's default says US-ASCII, which the octets are not.
    if (encoded && is_message && !has_type)
      out_.append("Content-Type: text/plain; charset=").append(is_utf8(body(part)) ? "utf-8" : "unknown-8bit").append("\r\n");
    write_encoding();
  }
  if (pos < header.size()) out_ += "\r\n";
  return {};
}

}  // namespace

Result<std::string> to_seven_bit(std::string_view message) { return Downgrader(message, Target::seven_bit).run(); }

Result<std::string> to_eight_bit(std::string_view message) { return Downgrader(message, Target::eight_bit).run(); }

bool has_eight_bit_header(std::string_view message) {
  if (is_ascii(message)) return false;
  return std::ranges::any_of(parse_structure(message).parts, [&](const Part& part) {
    return !is_ascii(message.substr(part.header_begin, part.body_begin - part.header_begin));
  });
}

}  // namespace relais::message
