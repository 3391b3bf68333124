// BODY from BODYSTRUCTURE.
#include "storage/model/body_form.h"

#include "base/ascii.h"

namespace relais::storage::model {
namespace {

constexpr unsigned kMaxNesting = 400;  // parts nest 100 deep at most; an embedded message adds parentheses of its own

// Reads the structure and copies what belongs to BODY. Sticky: the first mismatch ends all progress.
class Copier {
 public:
  Copier(std::string& out, std::string_view in) : out_(out), rest_(in) {}

  // body = "(" (body-type-1part / body-type-mpart) ")"
  void body(unsigned depth) {
    if (depth > kMaxNesting) return miss();
    copy('(');
    if (peek() == '(') {
      while (peek() == '(' && ok_) body(depth + 1);  // 1*body
      copy(' ');
      item(true, depth);  // media-subtype; what follows is extension data
    } else {
      single(depth);
    }
    while (ok_ && peek() == ' ') {
      skip(' ');
      item(false, depth);
    }
    copy(')');
  }

  bool done() const noexcept { return ok_ && rest_.empty(); }

 private:
  // body-type-basic / body-type-msg / body-type-text, without extension data
  void single(unsigned depth) {
    const auto type = item(true, depth);
    copy(' ');
    const auto subtype = item(true, depth);
    for (int i = 0; i < 5 && ok_; ++i) {  // parameters, id, description, encoding, octets
      copy(' ');
      item(true, depth);
    }
    if (iequals(type, "\"TEXT\"")) {
      copy(' ');
      item(true, depth);  // lines
    } else if (iequals(type, "\"MESSAGE\"") && (iequals(subtype, "\"RFC822\"") || iequals(subtype, "\"GLOBAL\""))) {
      copy(' ');
      item(true, depth);  // envelope
      copy(' ');
      body(depth + 1);
      copy(' ');
      item(true, depth);  // lines
    }
  }

  // A list, a quoted string, a literal, NIL or a number.
  std::string_view item(bool keep, unsigned depth) {
    const auto before = rest_;
    value(depth);
    const auto taken = before.substr(0, before.size() - rest_.size());
    if (keep && ok_) out_ += taken;
    return taken;
  }

  void value(unsigned depth) {
    if (depth > kMaxNesting) return miss();
    switch (peek()) {
      case '(':
        skip('(');
        while (ok_ && peek() != ')') {
          value(depth + 1);
          if (peek() == ' ') skip(' ');
        }
        return skip(')');
      case '"': return quoted();
      case '{': return literal();
      default: return atom();
    }
  }

  void quoted() {
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '\\') {
        ++i;
      } else if (rest_[i] == '"') {
        return rest_.remove_prefix(i + 1);
      }
    }
    miss();
  }

  void literal() {
    const auto close = rest_.find("}\r\n");
    if (close == std::string_view::npos) return miss();
    auto digits = rest_.substr(1, close - 1);
    if (digits.ends_with('+')) digits.remove_suffix(1);
    const auto size = parse_u64(digits);
    if (!size || *size > rest_.size() - close - 3) return miss();
    rest_.remove_prefix(close + 3 + *size);
  }

  void atom() {
    const auto end = rest_.find_first_of(" ()\"{");
    const auto size = end == std::string_view::npos ? rest_.size() : end;
    if (size == 0) return miss();
    rest_.remove_prefix(size);
  }

  char peek() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }
  void skip(char c) {
    if (peek() != c) return miss();
    rest_.remove_prefix(1);
  }
  void copy(char c) {
    skip(c);
    if (ok_) out_ += c;
  }
  void miss() noexcept {
    ok_ = false;
    rest_ = {};
  }

  std::string& out_;
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

Result<void> append_body(std::string& out, std::string_view body_structure) {
  const auto before = out.size();
  Copier copier(out, body_structure);
  copier.body(0);
  if (copier.done()) return {};
  out.resize(before);
  return fail(Fault::corrupt, "message structure is damaged", "SERVERBUG", "stored BODYSTRUCTURE does not parse");
}

}  // namespace relais::storage::model
