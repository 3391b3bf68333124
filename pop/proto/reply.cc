// Status lines, byte-stuffing, TOP and unique ids.
#include "pop/proto/reply.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace relais::pop {
namespace {

constexpr std::size_t kMaxUniqueId = 70;  // characters, RFC 1939 §7

void append_hex(std::string& out, std::uint32_t number) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
  out.append(digits.data(), end);
}

/// Response code for an error whose own code is not one of POP3's.
std::string_view code_of(const Error& error) noexcept {
  if (error.code == "AUTHENTICATIONFAILED") return "AUTH";
  if (error.code == "IN-USE" || error.code == "LOGIN-DELAY" || error.code == "UTF8" || error.code.starts_with("SYS/")) return error.code;
  if (error.fault == Fault::temporary) return "SYS/TEMP";
  if (error.fault == Fault::corrupt) return "SYS/PERM";
  return {};
}

}  // namespace

void append_ok(std::string& out, std::string_view text) {
  out += "+OK";
  if (!text.empty()) out.append(" ").append(text);
  out += "\r\n";
}

void append_err(std::string& out, std::string_view code, std::string_view text) {
  out += "-ERR ";
  if (!code.empty()) out.append("[").append(code).append("] ");
  out.append(text).append("\r\n");
}

void append_error(std::string& out, const Error& error) { append_err(out, code_of(error), error.text.empty() ? "failed" : error.text); }

void MessageWriter::append(std::string& out, std::string_view octets) {
  if (octets.empty()) return;
  if (line_start_ && octets.front() == '.') out += '.';
  std::size_t from = 0;
  for (;;) {
    const auto at = octets.find("\n.", from);
    if (at == std::string_view::npos) break;
    out.append(octets.substr(from, at + 2 - from)).append(1, '.');
    from = at + 2;
  }
  out.append(octets.substr(from));
  before_ = octets.size() > 1 ? octets[octets.size() - 2] : last_;
  last_ = octets.back();
  line_start_ = last_ == '\n';
}

void MessageWriter::finish(std::string& out) {
  if (before_ != '\r' || last_ != '\n') out += "\r\n";
  out += ".\r\n";
}

std::size_t TopCutter::take(std::string_view octets) noexcept {
  std::size_t at = 0;
  while (at < octets.size() && !done_) {
    if (body_ && lines_ == 0) {
      done_ = true;
      break;
    }
    const auto end = octets.find('\n', at);
    const auto line = octets.substr(at, end == std::string_view::npos ? end : end - at);
    // A line is empty with nothing in it but one CR, which may come apart from its LF.
    if (!line.empty()) line_ = line == "\r" && line_ == Line::empty ? Line::carriage_return : Line::text;
    if (end == std::string_view::npos) return octets.size();
    at = end + 1;
    if (body_) --lines_;
    else if (line_ != Line::text) body_ = true;
    line_ = Line::empty;
  }
  return at;
}

void append_unique_id(std::string& out, std::uint32_t uid_validity, std::uint32_t uid) {
  append_hex(out, uid_validity);
  out += '.';
  append_hex(out, uid);
}

bool is_unique_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxUniqueId && std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

}  // namespace relais::pop
