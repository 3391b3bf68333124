// Wire form of replies, and what an Error is in SMTP.
#include "smtp/proto/reply.h"

#include "base/ascii.h"

#include <algorithm>
#include <array>

namespace relais::smtp {
namespace {

constexpr std::size_t kPrefix = 4;  // "250-"

void append_code(std::string& out, std::uint16_t code, char separator) {
  out.push_back(static_cast<char>('0' + code / 100 % 10));
  out.push_back(static_cast<char>('0' + code / 10 % 10));
  out.push_back(static_cast<char>('0' + code % 10));
  out.push_back(separator);
}

// textstring = 1*(%d09 / %d32-126)                          RFC 5321 §4.2; UTF-8 joins with RFC 6531 §3.7.4.1
void append_text(std::string& out, std::string_view text) {
  const bool clean = std::ranges::all_of(text, [](char c) { return c == '\t' || (c >= 32 && c < 127); });
  if (clean) {
    out.append(text);
    return;
  }
  const bool utf8 = is_utf8(text);
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool fine = c == '\t' || (octet >= 32 && octet < 127) || (octet >= 128 && utf8);
    out.push_back(fine ? c : '?');
  }
}

void append_line(std::string& out, std::uint16_t code, std::string_view enhanced, std::string_view text, bool last) {
  const auto start = out.size();
  append_code(out, code, last ? ' ' : '-');
  if (!enhanced.empty()) out.append(enhanced).push_back(' ');
  const auto used = out.size() - start + 2;
  if (text.size() + used > kMaxReplyLine) {
    auto cut = kMaxReplyLine - used;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) --cut;  // never inside a UTF-8 character
    text = text.substr(0, cut);
  }
  append_text(out, text);
  out.append("\r\n");
}

// Enhanced codes in a Reply outlive everything, so a code that came with an Error is looked up among all that there can be: the classes,
// subjects and details of RFC 3463 §2 and §3, with room for what the IANA registry has been given since.
constexpr std::string_view kClasses = "245";
constexpr std::size_t kSubjects = 8;
constexpr std::size_t kDetails = 40;

struct EnhancedCode {
  char text[6] = {};
  std::uint8_t size = 0;
};

constexpr auto kEnhanced = [] {
  std::array<EnhancedCode, kClasses.size() * kSubjects * kDetails> all{};
  std::size_t at = 0;
  for (const char first : kClasses) {
    for (std::size_t subject = 0; subject < kSubjects; ++subject) {
      for (std::size_t detail = 0; detail < kDetails; ++detail) {
        auto& code = all[at++];
        const auto put = [&](std::size_t c) { code.text[code.size++] = static_cast<char>(c); };
        put(static_cast<unsigned char>(first));
        put('.');
        put('0' + subject);
        put('.');
        if (detail >= 10) put('0' + detail / 10);
        put('0' + detail % 10);
      }
    }
  }
  return all;
}();

/// @return the same text, of unlimited lifetime; empty if it is no enhanced code
std::string_view known_enhanced(std::string_view code) {
  constexpr std::size_t kDetailAt = 4;  // "5.1.": what stands before the detail
  if (code.size() <= kDetailAt || code[1] != '.' || code[2] < '0' || code[3] != '.') return {};
  const auto first = kClasses.find(code[0]);
  const auto subject = static_cast<std::size_t>(code[2] - '0');
  const auto detail = parse_u64(code.substr(kDetailAt));
  if (first == std::string_view::npos || subject >= kSubjects || !detail || *detail >= kDetails) return {};
  const auto& found = kEnhanced[(first * kSubjects + subject) * kDetails + *detail];
  const std::string_view text(found.text, found.size);
  return text == code ? text : std::string_view{};
}

struct Default {
  std::uint16_t code;
  std::string_view enhanced;
  std::string_view text;
};

Default default_for(Fault fault) {
  switch (fault) {
    case Fault::syntax: return {501, "5.5.4", "syntax error"};
    case Fault::refused: return {550, "5.0.0", "refused"};
    case Fault::temporary:
    case Fault::corrupt:
    case Fault::closed: break;
  }
  return {451, "4.3.0", "temporary failure, try again later"};
}

}  // namespace

void append_reply(std::string& out, std::uint16_t code, std::string_view enhanced, std::string_view text) {
  append_line(out, code, enhanced, text, true);
}

void append_reply(std::string& out, const Reply& reply) {
  std::string_view rest = reply.text;
  for (;;) {
    const auto end = rest.find('\n');
    append_line(out, reply.code, reply.enhanced, rest.substr(0, end), end == std::string_view::npos);
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
  }
}

std::string reply_text(const Reply& reply) {
  auto out = std::to_string(reply.code);
  for (const auto part : {reply.enhanced, std::string_view(reply.text)}) {
    if (!part.empty()) out.append(" ").append(part);
  }
  return out;
}

Reply reply_for(const Error& error) {
  const auto fallback = default_for(error.fault);
  std::uint16_t code = fallback.code;
  std::string_view status = error.code;
  if (status.size() > kPrefix && status[3] == ' ') {
    if (const auto number = parse_u64(status.substr(0, 3)); number && *number >= 200 && *number < 600) code = static_cast<std::uint16_t>(*number);
    status.remove_prefix(kPrefix);
  }
  auto enhanced = known_enhanced(status);
  if (error.fault == Fault::refused && enhanced == "5.1.10") code = 556;  // RFC 7505 §4.2: null MX
  // RFC 2034 §4: the class of the enhanced code is that of the reply code.
  if (enhanced.empty() || enhanced.front() != static_cast<char>('0' + code / 100)) enhanced = code == fallback.code ? fallback.enhanced : std::string_view{};
  return Reply{code, enhanced, error.text.empty() ? std::string(fallback.text) : error.text};
}

}  // namespace relais::smtp
