// Writes BODY and BODYSTRUCTURE.
#include "message/body_structure.h"

#include "base/ascii.h"
#include "message/envelope.h"
#include "message/header.h"
#include "message/lexer.h"
#include "message/wire.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxEncodingName = 127;  // octets
constexpr std::size_t kMaxLanguages = 100;

void append_encoding(std::string& out, const Part& part) {
  if (part.encoding != Encoding::unknown) {
    append_imap_string(out, to_string(part.encoding));
    return;
  }
  Lexer in(part.fields.transfer_encoding);
  in.skip_cfws();
  append_imap_string(out, in.token().substr(0, kMaxEncodingName));
}

class Writer {
 public:
  Writer(std::string& body, std::string& full, const Structure& structure, std::string_view message, WireBudget& budget)
      : body_(body), full_(full), structure_(structure), message_(message), budget_(budget) {}

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
    content_type_parameters(p);
    extension(p);
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
    content_type_parameters(p);
    full_.push_back(' ');
    nstring(p.fields.id);
    full_.push_back(' ');
    nstring(p.fields.description);
    full_.push_back(' ');
    append_encoding(full_, p);
    full_.push_back(' ');
    append_number(full_, p.body_end - p.body_begin);
    if (p.is_message) {
      const auto& embedded = structure_.parts[index + 1];
      full_.push_back(' ');
      append_envelope(full_, message_.substr(embedded.header_begin, embedded.body_begin - embedded.header_begin), budget_);
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
    nstring(p.fields.md5);
    extension(p);
    both(")");
  }

  void nstring(std::string_view value) {
    if (value.data() == nullptr || !budget_.take(value.size()))
      full_.append("NIL");
    else
      append_imap_string(full_, unfold(value));
  }

  // body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
  // Text without a charset is US-ASCII (RFC 2045 §5.2), and said to be.
  void parameters(const std::vector<Parameter>& list, bool default_charset) {
    bool any = false;
    for (const auto& [name, value] : list) {
      if (!budget_.take(name.size() + value.size() + 6)) break;
      full_.push_back(any ? ' ' : '(');
      append_imap_string(full_, name);
      full_.push_back(' ');
      append_imap_string(full_, value);
      any = true;
      if (name == "charset" || name == "charset*") default_charset = false;
    }
    if (default_charset) {
      full_.append(any ? " " : "(").append(R"("charset" "us-ascii")");
      any = true;
    }
    full_.append(any ? ")" : "NIL");
  }

  void content_type_parameters(const Part& p) {
    const auto& value = p.fields.content_type;
    parameters(value.data() ? parse_parameterized(value).parameters : std::vector<Parameter>{}, p.type == "text");
  }

  // body-fld-dsp = "(" string SP body-fld-param ")" / nil
  void disposition(std::string_view field_value) {
    const auto parsed = field_value.data() ? parse_parameterized(field_value) : ParameterizedValue{};
    if (parsed.value.empty() || !budget_.take(parsed.value.size())) {
      full_.append("NIL");
      return;
    }
    full_.push_back('(');
    append_imap_string(full_, parsed.value);
    full_.push_back(' ');
    parameters(parsed.parameters, false);
    full_.push_back(')');
  }

  // body-fld-lang = nstring / "(" string *(SP string) ")": the tags of RFC 3282 Content-Language
  void language(std::string_view field_value) {
    Lexer in(field_value);
    std::size_t count = 0;
    while (!in.at_end() && count < kMaxLanguages) {
      in.skip_cfws();
      const auto tag = in.token();
      if (tag.empty()) {
        in.skip();
        continue;
      }
      if (!budget_.take(tag.size())) break;
      full_.push_back(count++ == 0 ? '(' : ' ');
      append_imap_string(full_, tag);
    }
    full_.append(count == 0 ? "NIL" : ")");
  }

  // SP body-fld-dsp SP body-fld-lang SP body-fld-loc: the end of both kinds of extension data
  void extension(const Part& p) {
    full_.push_back(' ');
    disposition(p.fields.disposition);
    full_.push_back(' ');
    language(p.fields.language);
    full_.push_back(' ');
    nstring(p.fields.location);
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
  WireBudget& budget_;
};

}  // namespace

void append_body_structure(std::string& body, std::string& body_structure, const Structure& structure, std::string_view message,
                           WireBudget& budget) {
  Writer(body, body_structure, structure, message, budget).part(0);
}

}  // namespace relais::message
