// Tokens of structured header fields, read tolerantly; shared by the parsers of this folder.
#pragma once

#include <string>
#include <string_view>

#include "base/ascii.h"

namespace relais::message {

constexpr bool is_fws(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0'; }
/// RFC 2045 §5.1 tspecials, except that "/" and "=" are left to the caller where a value is unquoted.
constexpr bool is_tspecial(char c) noexcept { return std::string_view("()<>@,;:\\\"/[]?=").contains(c); }
constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 32 || c == 127; }

/// Walks over a field's value. Never fails: what doesn't fit is left for the caller to see with peek().
class Lexer {
 public:
  explicit Lexer(std::string_view text) noexcept : rest_(text) {}
  bool at_end() const noexcept { return rest_.empty(); }
  /// The next octet; NUL at the end.
  char peek() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }
  void skip() noexcept {
    if (!rest_.empty()) rest_.remove_prefix(1);
  }
  bool accept(char c) noexcept {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view rest() const noexcept { return rest_; }
  void set_rest(std::string_view rest) noexcept { rest_ = rest; }

  void skip_fws() noexcept {
    while (!rest_.empty() && is_fws(rest_.front())) rest_.remove_prefix(1);
  }

  /// Folding white space and comments (RFC 5322 §3.2.2), which nest.
  /// @param comment  Gets the text of the last comment, if not null.
  void skip_cfws(std::string* comment = nullptr) {
    for (;;) {
      skip_fws();
      if (peek() != '(') return;
      read_comment(comment);
    }
  }

  /// RFC 2045 §5.1 token; may be empty. 8-bit octets are let through.
  std::string_view token() noexcept {
    std::size_t n = 0;
    while (n < rest_.size() && !is_fws(rest_[n]) && !is_control(rest_[n]) && !is_tspecial(rest_[n])) ++n;
    const auto token = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return token;
  }

  /// Appends the content of a quoted string whose opening quote is next. Line ends and NULs are dropped; a missing final quote is forgiven.
  void read_quoted(std::string& out) {
    skip();
    while (!rest_.empty()) {
      std::size_t n = 0;
      while (n < rest_.size() && rest_[n] != '"' && rest_[n] != '\\' && rest_[n] != '\r' && rest_[n] != '\n' && rest_[n] != '\0') ++n;
      out.append(rest_.substr(0, n));
      rest_.remove_prefix(n);
      if (rest_.empty()) return;
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return;
      if (c == '\\' && !rest_.empty() && rest_.front() != '\r' && rest_.front() != '\n') {
        if (rest_.front() != '\0') out.push_back(rest_.front());
        rest_.remove_prefix(1);
      }
    }
  }

 private:
  void read_comment(std::string* comment) {
    if (comment) comment->clear();
    int depth = 0;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '(' && depth++ == 0) continue;
      if (c == ')' && --depth == 0) return;
      if (c == '\\' && !rest_.empty()) {
        if (comment && !is_control(rest_.front())) comment->push_back(rest_.front());
        rest_.remove_prefix(1);
      } else if (comment && c != '\r' && c != '\n' && c != '\0') {
        comment->push_back(c);
      }
    }
  }

  std::string_view rest_;
};

}  // namespace relais::message
