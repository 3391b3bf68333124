// Takes replies of another server apart.
#include "smtp/proto/remote_reply.h"

#include "base/ascii.h"

#include <algorithm>

namespace relais::smtp {
namespace {

constexpr std::size_t kShown = 80;  // octets of garbage that an error quotes

// Octets that neither logs nor reports may hold become "?".
void append_printable(std::string& out, std::string_view text) {
  const auto fine = [](char c) { return c == '\t' || (c >= 32 && c < 127); };
  if (std::ranges::all_of(text, fine)) {
    out += text;
    return;
  }
  const bool utf8 = is_utf8(text);
  for (const char c : text) out.push_back(fine(c) || (utf8 && static_cast<unsigned char>(c) >= 0x80) ? c : '?');
}

// class "." subject "." detail, each of the last two 1*3digit, and a space or the end behind it.   RFC 2034 §4, RFC 3463 §2
std::string_view enhanced_code(std::string_view text, std::uint16_t code) {
  if (text.size() < 5 || text[0] != static_cast<char>('0' + code / 100) || !std::string_view("245").contains(text[0])) return {};
  std::size_t at = 1;
  for (int part = 0; part < 2; ++part) {
    if (at >= text.size() || text[at] != '.') return {};
    const auto first = ++at;
    while (at < text.size() && at - first < 3 && ascii_digit(text[at])) ++at;
    if (at == first) return {};
  }
  if (at < text.size() && !ascii_wsp(text[at])) return {};
  return text.substr(0, at);
}

}  // namespace

std::string RemoteReply::line() const {
  auto out = std::to_string(code);
  if (!enhanced.empty()) (out += ' ') += enhanced;
  if (!text.empty()) (out += ' ') += text;
  std::ranges::replace(out, '\n', ' ');
  return out;
}

ReplyParser::Step ReplyParser::garbage(std::string_view what, std::string_view line) {
  failed_ = true;
  error_ = what;
  if (!line.empty()) {
    error_ += ": ";
    append_printable(error_, line.substr(0, kShown));
  }
  return {0, Event::garbage};
}

ReplyParser::Step ReplyParser::feed(std::string_view input) {
  if (failed_) return {0, Event::garbage};
  if (complete_) {
    reply_ = {};
    complete_ = false;
  }
  std::size_t used = 0;
  for (;;) {
    const auto rest = input.substr(used);
    const auto lf = rest.find('\n', scanned_);
    if (lf == std::string_view::npos) {
      scanned_ = rest.size();
      if (scanned_ >= kMaxRemoteReplyLine) return garbage("a reply line is too long", rest);
      return {used, Event::more};
    }
    scanned_ = 0;
    if (lf >= kMaxRemoteReplyLine) return garbage("a reply line is too long", rest);
    const auto step = take_line(rest.substr(0, lf), used + lf + 1);
    if (step.event != Event::more) return step;
    used = step.used;
  }
}

// Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP [ textstring ] ] CRLF         RFC 5321 §4.2
ReplyParser::Step ReplyParser::take_line(std::string_view line, std::size_t used) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const bool digits = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && ascii_digit(line[1]) && ascii_digit(line[2]);
  if (!digits || (line.size() > 3 && line[3] != ' ' && line[3] != '-' && line[3] != '\t')) return garbage("not an SMTP reply", line);
  const auto code = static_cast<std::uint16_t>((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
  if (lines_ > 0 && code / 100 != reply_.code / 100) return garbage("the lines of a reply differ in their code", line);
  if (++lines_ > kMaxRemoteReplyLines) return garbage("a reply has too many lines", line);
  const bool last = line.size() == 3 || line[3] != '-';
  auto text = line.size() > 4 ? line.substr(4) : std::string_view{};
  reply_.code = code;
  const auto enhanced = enhanced_code(text, code);
  if (lines_ == 1) reply_.enhanced = enhanced;
  if (!enhanced.empty() && enhanced == reply_.enhanced) {  // each line repeats it: RFC 2034 §4
    text.remove_prefix(enhanced.size());
    text = trim(text);
  }
  if (reply_.text.size() < kMaxReplyText) {
    if (lines_ > 1) reply_.text.push_back('\n');
    append_printable(reply_.text, text.substr(0, kMaxReplyText - std::min(kMaxReplyText, reply_.text.size())));
  }
  if (!last) return {used, Event::more};
  lines_ = 0;
  complete_ = true;
  return {used, Event::reply};
}

}  // namespace relais::smtp
