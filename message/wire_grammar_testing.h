// For tests and fuzzing: does an ENVELOPE, BODY or BODYSTRUCTURE follow the grammar of RFC 9051 §9, to the letter?
#pragma once

#include <string>
#include <string_view>

#include "base/ascii.h"

namespace relais::message::testing {

class WireGrammar {
 public:
  /// Empty if `text` is an `envelope`; else where and what was expected.
  static std::string check_envelope(std::string_view text) {
    WireGrammar in(text);
    in.envelope();
    return in.verdict();
  }
  /// Empty if `text` is a `body`, with extension data if asked for.
  static std::string check_body(std::string_view text, bool extended) {
    WireGrammar in(text);
    in.body(extended, 0);
    return in.verdict();
  }

 private:
  explicit WireGrammar(std::string_view text) : all_(text), rest_(text) {}

  std::string verdict() {
    if (wrong_.empty() && !rest_.empty()) miss("end");
    return wrong_;
  }
  void miss(std::string_view what) {
    if (wrong_.empty()) wrong_ = "expected " + std::string(what) + " at " + std::to_string(all_.size() - rest_.size());
    rest_ = {};
  }
  bool at(std::string_view text) const { return rest_.starts_with(text); }
  bool accept(std::string_view text) {
    if (!at(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void expect(std::string_view text) {
    if (!accept(text)) miss(text);
  }
  std::uint64_t number() {
    std::size_t n = 0;
    while (n < rest_.size() && ascii_digit(rest_[n])) ++n;
    const auto value = parse_u64(rest_.substr(0, n));
    if (!value)
      miss("number");
    else
      rest_.remove_prefix(n);
    return value.value_or(0);
  }

  // string = quoted / literal; QUOTED-CHAR is US-ASCII 1-127 without CR and LF, CHAR8 is %x01-ff
  std::string string() {
    std::string out;
    if (accept("{")) {
      const auto size = number();
      expect("}\r\n");
      if (size > rest_.size()) {
        miss("literal octets");
        return out;
      }
      out = rest_.substr(0, size);
      if (out.contains('\0'))
        miss("literal without NUL");
      else
        rest_.remove_prefix(size);
      return out;
    }
    expect("\"");
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') {
        rest_.remove_prefix(1);
        if (!at("\"") && !at("\\")) miss("quoted-special");
        if (rest_.empty()) return out;
      }
      const char c = rest_.front();
      if (static_cast<unsigned char>(c) >= 0x80 || c == '\0' || c == '\r' || c == '\n') {
        miss("TEXT-CHAR");
        return out;
      }
      out.push_back(c);
      rest_.remove_prefix(1);
    }
    expect("\"");
    return out;
  }
  bool nstring() {
    if (accept("NIL")) return false;
    string();
    return true;
  }

  void envelope() {
    expect("(");
    nstring();
    expect(" ");
    nstring();
    for (int i = 0; i < 6; ++i) {
      expect(" ");
      addresses();
    }
    expect(" ");
    nstring();
    expect(" ");
    nstring();
    expect(")");
  }
  void addresses() {
    if (accept("NIL")) return;
    expect("(");
    do {
      expect("(");
      const bool name = nstring();
      expect(" ");
      const bool route = nstring();
      expect(" ");
      nstring();
      expect(" ");
      const bool host = nstring();
      expect(")");
      if (!host && (name || route)) miss("group mark without name and route");
    } while (at("("));
    expect(")");
  }

  void body(bool extended, int depth) {
    if (depth > 300) return miss("less depth");
    expect("(");
    if (at("(")) {
      while (at("(")) body(extended, depth + 1);
      expect(" ");
      if (string().empty()) miss("media-subtype");
      if (extended) {
        expect(" ");
        parameters();
        extension();
      }
    } else {
      const auto type = to_lower(string());
      expect(" ");
      const auto subtype = to_lower(string());
      expect(" ");
      parameters();
      expect(" ");
      nstring();
      expect(" ");
      nstring();
      expect(" ");
      if (string().empty()) miss("body-fld-enc");
      expect(" ");
      number();
      if (type == "multipart") miss("single part's type");
      if (type == "message" && (subtype == "rfc822" || subtype == "global")) {
        expect(" ");
        envelope();
        expect(" ");
        body(extended, depth + 1);
        expect(" ");
        number();
      } else if (type == "text") {
        expect(" ");
        number();
      }
      if (extended) {
        expect(" ");
        nstring();
        extension();
      }
    }
    expect(")");
  }
  void parameters() {
    if (accept("NIL")) return;
    expect("(");
    do {
      string();
      expect(" ");
      string();
    } while (accept(" "));
    expect(")");
  }
  void extension() {
    expect(" ");
    if (!accept("NIL")) {
      expect("(");
      string();
      expect(" ");
      parameters();
      expect(")");
    }
    expect(" ");
    if (accept("(")) {
      do string();
      while (accept(" "));
      expect(")");
    } else {
      nstring();
    }
    expect(" ");
    nstring();
  }

  std::string_view all_;
  std::string_view rest_;
  std::string wrong_;
};

}  // namespace relais::message::testing
