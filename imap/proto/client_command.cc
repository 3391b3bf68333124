// Writes commands; see client_command.h.
#include "imap/proto/client_command.h"

#include <algorithm>

#include "base/ascii.h"
#include "imap/proto/write.h"

namespace relais::imap {
namespace {

constexpr std::size_t kMaxQuoted = 512;  // octets: servers' lines are short (RFC 2683 §3.2.1.5)

bool quotable(std::string_view octets) noexcept {
  return octets.size() <= kMaxQuoted && std::ranges::all_of(octets, [](char c) { return c >= ' ' && c <= '~'; });
}

void append_range(std::string& out, NumberRange range) {
  append_number(out, range.first);
  if (range.last == range.first) return;
  out += ':';
  append_number(out, range.last);
}

}  // namespace

ClientCommand& ClientCommand::text(std::string_view words) {
  pieces_.back() += words;
  return *this;
}

// string = quoted / literal                                                    RFC 9051 §9
ClientCommand& ClientCommand::string(std::string_view octets) {
  if (octets.contains('\0')) sendable_ = false;  // literal = "{" number64 ["+"] "}" CRLF *CHAR8; CHAR8 is not NUL
  if (quotable(octets)) {
    auto& out = pieces_.back();
    out += '"';
    for (const char c : octets) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
    return *this;
  }
  announce(octets.size(), literals_ == Literals::sync || (literals_ == Literals::minus && octets.size() > kMaxMinus), false);
  return text(octets);
}

ClientCommand& ClientCommand::set(const NumberSet& numbers) {
  append_number_set(pieces_.back(), numbers);
  return *this;
}

ClientCommand& ClientCommand::announce(std::uint64_t octets, bool wait, bool binary) {
  auto& out = pieces_.back();
  if (binary) out += '~';
  out += '{';
  append_number(out, octets);
  out += wait ? "}\r\n" : "+}\r\n";
  if (wait) pieces_.emplace_back();
  return *this;
}

std::vector<std::string> set_texts(const NumberSet& set, std::size_t octets) {
  std::vector<std::string> out;
  for (const auto range : set.ranges()) {
    std::string text;
    append_range(text, range);
    if (out.empty() || out.back().size() + 1 + text.size() > octets) {
      out.push_back(std::move(text));
    } else {
      out.back().append(1, ',').append(text);
    }
  }
  return out;
}

}  // namespace relais::imap
