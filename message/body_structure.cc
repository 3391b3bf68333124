// Writes BODY and BODYSTRUCTURE.
#include "message/body_structure.h"

#include "base/ascii.h"
#include "message/envelope.h"
#include "message/header.h"
#include "message/lexer.h"
#include "message/wire.h"

namespace relais::message {
namespace {

void append_nstring(std::string& out, std::string_view value) {
  if (value.data() == nullptr) {
    out.append("NIL");
    return;
  }
  append_imap_string(out, unfold(value));
}

// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
// Text without a charset is US-ASCII (RFC 2045 §5.2), and said to be.
void append_parameters(std::string& out, std::string_view field_value, bool default_charset) {
  std::vector<Parameter> parameters;
  if (field_value.data()) parameters = parse_parameterized(field_value).parameters;
  bool any = false;
  for (const auto& [name, value] : parameters) {
    out.push_back(any ? ' ' : '(');
    append_imap_string(out, name);
    out.push_back(' ');
    append_imap_string(out, value);
    any = true;
    if (name == "charset" || name == "charset*") default_charset = false;
  }
  if (default_charset) {
    out.append(any ? " " : "(").append(R"("charset" "us-ascii")");
    any = true;
  }
  out.append(any ? ")" : "NIL");
}

// body-fld-dsp = "(" string SP body-fld-param ")" / nil
void append_disposition(std::string& out, std::string_view field_value) {
  const auto parsed = field_value.data() ? parse_parameterized(field_value) : ParameterizedValue{};
  if (parsed.value.empty()) {
    out.append("NIL");
    return;
  }
  out.push_back('(');
  append_imap_string(out, parsed.value);
  out.push_back(' ');
  append_parameters(out, field_value, false);
  out.push_back(')');
}

// body-fld-lang = nstring / "(" string *(SP string) ")": the tags of RFC 3282 Content-Language
void append_language(std::string& out, std::string_view field_value) {
  std::vector<std::string_view> tags;
  Lexer in(field_value);
  while (!in.at_end()) {
    in.skip_cfws();
    if (const auto tag = in.token(); !tag.empty())
      tags.push_back(tag);
    else
      in.skip();
  }
  if (tags.empty()) {
    out.append("NIL");
  } else {
    for (std::size_t i = 0; i < tags.size(); ++i) {
      out.push_back(i == 0 ? '(' : ' ');
      append_imap_string(out, tags[i]);
    }
    out.push_back(')');
  }
}

// SP body-fld-dsp SP body-fld-lang SP body-fld-loc: the end of both kinds of extension data
void append_extension(std::string& out, const Part& part) {
  out.push_back(' ');
  append_disposition(out, part.fields.disposition);
  out.push_back(' ');
  append_language(out, part.fields.language);
  out.push_back(' ');
  append_nstring(out, part.fields.location);
}

void append_encoding(std::string& out, const Part& part) {
  if (part.encoding != Encoding::unknown) {
    append_imap_string(out, to_string(part.encoding));
    return;
  }
  Lexer in(part.fields.transfer_encoding);
  in.skip_cfws();
  append_imap_string(out, in.token());
}

class Writer {
 public:
  Writer(std::string& body, std::string& full, const Structure& structure, std::string_view message)
      : body_(body), full_(full), structure_(structure), message_(message) {}

  // Depth is bounded by kMaxDepth.
  void part(std::uint32_t index) {
    const auto& p = structure_.parts[index];
    if (p.is_multipart)
      multipart(index, p);
    else
      single(index, p);
  }

 private:
  // body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
  void multipart(std::uint32_t index, const Part& p) {
    both("(");
    for (auto i = index + 1; i < p.end; i = structure_.parts[i].end) part(i);
    both(" ");
    const auto common = full_.size();
    append_imap_string(full_, p.subtype);
    copy_since(common);
    full_.push_back(' ');
    append_parameters(full_, p.fields.content_type, false);
    append_extension(full_, p);
    both(")");
  }

  // body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
  void single(std::uint32_t index, const Part& p) {
    auto common = full_.size();
    const bool text = p.type == "text";
    full_.push_back('(');
    append_imap_string(full_, p.type);
    full_.push_back(' ');
    append_imap_string(full_, p.subtype);
    full_.push_back(' ');
    append_parameters(full_, p.fields.content_type, text);
    full_.push_back(' ');
    append_nstring(full_, p.fields.id);
    full_.push_back(' ');
    append_nstring(full_, p.fields.description);
    full_.push_back(' ');
    append_encoding(full_, p);
    full_.push_back(' ');
    append_number(full_, p.body_end - p.body_begin);
    if (p.is_message) {
      const auto& embedded = structure_.parts[index + 1];
      full_.push_back(' ');
      append_envelope(full_, message_.substr(embedded.header_begin, embedded.body_begin - embedded.header_begin));
      full_.push_back(' ');
      copy_since(common);
      part(index + 1);
      common = full_.size();
    }
    if (p.is_message || text) {
      full_.push_back(' ');
      append_number(full_, p.lines);
    }
    copy_since(common);
    full_.push_back(' ');
    append_nstring(full_, p.fields.md5);
    append_extension(full_, p);
    both(")");
  }

  void both(std::string_view text) {
    body_.append(text);
    full_.append(text);
  }
  void copy_since(std::size_t begin) { body_.append(full_, begin); }

  std::string& body_;
  std::string& full_;
  const Structure& structure_;
  const std::string_view message_;
};

}  // namespace

void append_body_structure(std::string& body, std::string& body_structure, const Structure& structure, std::string_view message) {
  Writer(body, body_structure, structure, message).part(0);
}

}  // namespace relais::message
