// Reads the address lists of header fields, however they are written.
#include "base/ascii.h"
#include "message/address.h"
#include "message/lexer.h"

namespace relais::message {
namespace {

using Kind = ListedAddress::Kind;

// Reads one address list. Each address is collected in two readings at once, as which of them holds is only known at its end:
//   phrase_  words with single spaces between: a display name, or a group's name
//   spec_    the last of them that are joined by "." and "@", without spaces: an addr-spec, "@" at at_
class ListParser {
 public:
  ListParser(std::string_view value, std::size_t limit) : in_(value), limit_(limit) {}

  std::vector<ListedAddress> run() {
    while (!in_.at_end() && out_.size() < limit_) step();
    if (out_.size() < limit_) finish();
    if (in_group_) out_.push_back({Kind::group_end, {}, {}, {}, {}});
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kNoAt = std::string::npos;

  void step() {
    switch (const char c = in_.peek()) {
      case ' ':
      case '\t':
      case '\r':
      case '\n':
      case '\0':
        in_.skip_fws();
        gap_ = true;
        break;
      case '(':
        in_.skip_cfws(&comment_);
        gap_ = true;
        break;
      case '"': {
        std::string text;
        in_.read_quoted(text);
        // The space between quoted strings and atoms of a name is only to tell them apart, but it is what readers expect to see.
        add_word(text);
        quoted_ = true;
        break;
      }
      case ',':
        in_.skip();
        finish();
        break;
      case ';':
        in_.skip();
        finish();
        if (in_group_) out_.push_back({Kind::group_end, {}, {}, {}, {}});
        in_group_ = false;
        break;
      case ':':
        in_.skip();
        colon();
        break;
      case '<':
        in_.skip();
        angle();
        break;
      case '@':
        in_.skip();
        if (surplus_) break;
        if (at_ == kNoAt) at_ = spec_.size();
        spec_.push_back('@');
        phrase_.push_back('@');
        gap_ = false;
        break;
      case '[': literal(); break;
      case '.':
        in_.skip();
        if (!surplus_) spec_.push_back('.');
        phrase_.push_back('.');
        break;
      case '>':
      case ')':
      case ']':
      case '\\':
        in_.skip();  // fits nowhere
        break;
      default:
        if (is_control(c))
          in_.skip();
        else
          add_word(atom());
    }
  }

  std::string_view atom() {
    const auto rest = in_.rest();
    std::size_t n = 0;
    while (n < rest.size() && !is_fws(rest[n]) && !is_control(rest[n]) && !std::string_view("()<>[]:;@\\,.\"").contains(rest[n])) ++n;
    in_.set_rest(rest.substr(n));
    return rest.substr(0, n);
  }

  void add_word(std::string_view word) {
    if (gap_ && !phrase_.empty() && phrase_.back() != '@') phrase_.push_back(' ');
    if (gap_ && !spec_.empty() && spec_.back() != '.' && spec_.back() != '@') {
      if (at_ != kNoAt) {
        surplus_ = true;  // after a complete addr-spec a further word belongs to no address
      } else {
        name_length_ = phrase_.size();  // what came before may be a name: "Ann Smith ann@a.example"
        spec_.clear();
      }
    }
    gap_ = false;
    phrase_.append(word);
    if (!surplus_) spec_.append(word);
  }

  // domain-literal, or brackets in a name: "[list] <a@b>"
  void literal() {
    const auto rest = in_.rest();
    auto n = rest.find_first_of("],<\"");
    if (n != std::string_view::npos && rest[n] == ']') ++n;
    std::string text;
    for (const char c : rest.substr(0, n)) {
      if (!is_control(c)) text.push_back(c);
    }
    in_.set_rest(n == std::string_view::npos ? std::string_view{} : rest.substr(n));
    add_word(text);
  }

  // group = display-name ":" [group-list] ";"
  void colon() {
    if (in_group_ || at_ != kNoAt || phrase_.empty()) {  // stray: "mailto:a@b" in a group, or nothing before it
      reset();
      return;
    }
    out_.push_back({Kind::group_start, phrase_, {}, {}, {}});
    in_group_ = true;
    reset();
  }

  // angle-addr = "<" [ obs-route ] addr-spec ">"; the "<" has been read
  void angle() {
    ListedAddress address;
    address.name = std::move(phrase_);
    trim_end(address.name);
    std::string spec;
    std::size_t at = kNoAt;
    in_.skip_cfws();
    const bool route = in_.peek() == '@';
    bool in_route = route;
    while (!in_.at_end()) {
      const char c = in_.peek();
      if (c == '>' || (c == ',' && !in_route)) break;
      if (c == '"') {
        in_.read_quoted(spec);
      } else if (c == '(' || is_fws(c)) {
        in_.skip_cfws();
      } else {
        in_.skip();
        if (c == ':' && in_route) {
          address.route = std::move(spec);
          spec.clear();
          in_route = false;
        } else if (c == '@' && !in_route) {
          at = spec.size();  // the last one splits
          spec.push_back(c);
        } else if (!is_control(c) && c != '<' && c != '\\') {
          spec.push_back(c);
        }
      }
    }
    in_.accept('>');
    if (in_route) at = spec.rfind('@');
    split(address, spec, at);
    out_.push_back(std::move(address));
    reset();
    swallow_ = true;
  }

  static void split(ListedAddress& address, std::string_view spec, std::size_t at) {
    address.mailbox = spec.substr(0, at);
    if (at != kNoAt) address.host = spec.substr(at + 1);
  }

  static void trim_end(std::string& text) {
    while (!text.empty() && is_fws(text.back())) text.pop_back();
  }

  // At a delimiter or the end: what was collected without angle brackets.
  void finish() {
    if (swallow_) {  // words or a comment behind an angle-addr
      if (!comment_.empty() && !out_.empty() && out_.back().kind == Kind::mailbox && out_.back().name.empty()) out_.back().name = comment_;
    } else if (!spec_.empty() || quoted_) {
      ListedAddress address;
      if (at_ == kNoAt && (name_length_ > 0 || quoted_)) {
        address.name = phrase_;  // a name and nothing else
      } else {
        split(address, spec_, at_);
        address.name = name_length_ > 0 ? phrase_.substr(0, name_length_) : comment_;  // RFC 822 style: a@b (Name)
      }
      trim_end(address.name);
      out_.push_back(std::move(address));
    }
    reset();
  }

  void reset() {
    phrase_.clear();
    spec_.clear();
    comment_.clear();
    at_ = kNoAt;
    name_length_ = 0;
    gap_ = quoted_ = surplus_ = swallow_ = false;
  }

  Lexer in_;
  const std::size_t limit_;
  std::vector<ListedAddress> out_;
  std::string phrase_;
  std::string spec_;
  std::string comment_;
  std::size_t at_ = kNoAt;
  std::size_t name_length_ = 0;  // of phrase_, before its last word; 0 where there is but one
  bool gap_ = false;             // white space or a comment came before
  bool quoted_ = false;          // a quoted string was among the words: "" counts as an address
  bool surplus_ = false;         // words follow a complete addr-spec
  bool swallow_ = false;         // an angle-addr is complete; until the next delimiter everything is ignored
  bool in_group_ = false;
};

}  // namespace

std::vector<ListedAddress> parse_address_list(std::string_view field_value, std::size_t limit) {
  return ListParser(field_value, limit).run();
}

}  // namespace relais::message
