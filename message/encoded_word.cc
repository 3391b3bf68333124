// Encoded words (RFC 2047) and extended parameter values (RFC 2231) to UTF-8.
#include "base/ascii.h"
#include "message/decode.h"
#include "message/header.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxCharset = 60;  // octets, with a language behind "*" (RFC 2231 §5)

constexpr int hex_value(char c) noexcept {
  if (ascii_digit(c)) return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Text with an escape character before two hex digits: "=" in Q words, "%" in extended values.
std::string decode_escapes(std::string_view text, char escape, bool underscore_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == escape && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(static_cast<unsigned char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]))));
      i += 2;
    } else {
      out.push_back(underscore_is_space && c == '_' ? ' ' : c);
    }
  }
  return out;
}

struct Word {
  std::string_view charset;
  char encoding = '\0';  // 'b' or 'q'
  std::string_view text;
  std::size_t size = 0;  // octets of the whole word
};

// encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="        RFC 2047 §2, RFC 2231 §5
// The text may hold spaces here, which some mailers write. `in` starts with "=?".
std::optional<Word> read_word(std::string_view in) {
  const auto charset_end = in.substr(0, kMaxCharset + 3).find('?', 2);
  if (charset_end == std::string_view::npos || charset_end == 2 || charset_end + 2 >= in.size() || in[charset_end + 2] != '?')
    return std::nullopt;
  Word word;
  word.charset = in.substr(2, charset_end - 2);
  word.charset = word.charset.substr(0, word.charset.find('*'));
  for (const char c : word.charset) {
    if (static_cast<unsigned char>(c) <= 32) return std::nullopt;
  }
  word.encoding = ascii_lower(in[charset_end + 1]);
  if (word.encoding != 'b' && word.encoding != 'q') return std::nullopt;
  const auto text = charset_end + 3;
  // In Q text "?=" may also be what "?" and an escape make: "=?utf-8?q?a?=20b?=" is malformed, but its end is the first all the same.
  const auto end = in.find("?=", text);
  if (end == std::string_view::npos) return std::nullopt;
  word.text = in.substr(text, end - text);
  word.size = end + 2;
  return word;
}

class WordDecoder {
 public:
  explicit WordDecoder(std::string_view text) : in_(text) {}

  std::string run() {
    while (!in_.empty()) {
      const auto start = in_.find("=?");
      plain(in_.substr(0, start));
      if (start == std::string_view::npos) break;
      in_.remove_prefix(start);
      const auto word = no_more_ends_ ? std::nullopt : read_word(in_);
      if (word && is_known_charset(word->charset)) {
        encoded(*word);
        in_.remove_prefix(word->size);
      } else {
        // Without any "?=" ahead, no later "=?" needs to be tried: keeps this linear.
        if (!word && !no_more_ends_) no_more_ends_ = in_.find("?=", 2) == std::string_view::npos;
        const auto size = word ? word->size : 2;
        plain(in_.substr(0, size));
        in_.remove_prefix(size);
      }
    }
    flush();
    put_space();
    return std::move(out_);
  }

 private:
  void plain(std::string_view text) {
    if (text.empty()) return;
    // RFC 2047 §6.2: white space between encoded words is not shown. It waits until we know what follows.
    if (after_word_ && trim(text).empty()) {
      space_.append(text);
      return;
    }
    flush();
    put_space();
    after_word_ = false;
    if (is_utf8(text))
      out_.append(text);
    else
      out_.append(to_utf8(text, {}).value_or(std::string(text)));
  }

  void encoded(const Word& word) {
    space_.clear();
    if (!iequals(charset_, word.charset)) {
      flush();
      charset_ = word.charset;
    }
    octets_.append(word.encoding == 'b' ? decode_transfer(Encoding::base64, word.text) : decode_escapes(word.text, '=', true));
    after_word_ = true;
  }

  // Words of one charset are converted together: a character may be cut between them.
  void flush() {
    if (!octets_.empty()) {
      // Line ends and NULs in an encoded word are attempts to forge fields.
      auto text = to_utf8(octets_, charset_).value_or(std::string());
      std::erase_if(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
      out_.append(text);
      octets_.clear();
    }
    charset_ = {};
  }

  void put_space() {
    out_.append(space_);
    space_.clear();
  }

  std::string_view in_;
  std::string out_;
  std::string octets_;        // decoded, not yet converted
  std::string_view charset_;  // of octets_
  std::string space_;         // seen after an encoded word
  bool after_word_ = false;
  bool no_more_ends_ = false;
};

}  // namespace

std::string decode_words(std::string_view value) {
  std::string text = unfold(value);
  if (text.find("=?") == std::string::npos && is_ascii(text)) return text;
  return WordDecoder(text).run();
}

// ext-value = charset "'" [language] "'" value-chars        RFC 2231 §4
std::optional<std::string> decode_extended_value(std::string_view value) {
  const auto charset_end = value.find('\'');
  if (charset_end == std::string_view::npos) return std::nullopt;
  const auto language_end = value.find('\'', charset_end + 1);
  if (language_end == std::string_view::npos) return std::nullopt;
  return to_utf8(decode_escapes(value.substr(language_end + 1), '%', false), value.substr(0, charset_end));
}

}  // namespace relais::message
