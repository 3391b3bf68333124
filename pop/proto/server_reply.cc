// Status lines, listings and bodies of a POP3 server's replies.
#include "pop/proto/server_reply.h"

#include "base/ascii.h"

#include <charconv>

namespace relais::pop {

// response = ("+OK" / "-ERR") *( SP text ); resp-code = "[" resp-level *("/" resp-level) "]"      RFC 1939 §3, RFC 2449 §8
Result<ServerStatus> parse_status(std::string_view line) {
  ServerStatus status;
  status.ok = istarts_with(line, "+OK");
  if (!status.ok && !istarts_with(line, "-ERR")) return fail(Fault::syntax, "neither +OK nor -ERR");
  auto rest = line.substr(status.ok ? 3 : 4);
  if (!rest.empty() && rest.front() != ' ' && rest.front() != '\t') return fail(Fault::syntax, "neither +OK nor -ERR");
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  status.text = rest;
  if (rest.starts_with('[')) {
    if (const auto end = rest.find(']'); end != std::string_view::npos) status.code = rest.substr(1, end - 1);
  }
  return status;
}

// scan-listing, unique-id listing: number SP value       RFC 1939 §5, §7
Result<Listing> parse_listing(std::string_view line) {
  Listing listing;
  const auto [end, wrong] = std::from_chars(line.data(), line.data() + line.size(), listing.number);
  if (wrong != std::errc{} || listing.number == 0) return fail(Fault::syntax, "no message number");
  auto rest = line.substr(static_cast<std::size_t>(end - line.data()));
  const auto begin = rest.find_first_not_of(' ');
  if (begin == 0 || begin == std::string_view::npos) return fail(Fault::syntax, "nothing behind the message number");
  rest.remove_prefix(begin);
  listing.value = rest.substr(0, rest.find(' '));
  return listing;
}

BodyReader::Step BodyReader::feed(std::string_view input) noexcept {
  switch (state_) {
    case State::line_start:
      if (input.front() != '.') break;
      state_ = State::dot;
      return {1, {}, false};
    case State::dot:
      if (input.front() != '\r') break;  // the dot was stuffed in: it is gone
      state_ = State::dot_return;
      return {1, {}, false};
    case State::dot_return:
      if (input.front() == '\n') return {1, {}, true};
      state_ = State::text_return;  // a stuffed dot, and a CR of the message's own
      return {0, "\r", false};
    case State::text:
    case State::text_return: break;
  }
  return text(input);
}

// Up to the start of a line that may be the last one.
BodyReader::Step BodyReader::text(std::string_view input) noexcept {
  if (state_ == State::text_return && input.front() == '\n') {
    state_ = State::line_start;
    return {1, input.substr(0, 1), false};
  }
  if (const auto at = input.find("\r\n."); at != std::string_view::npos) {
    state_ = State::dot;
    return {at + 3, input.substr(0, at + 2), false};
  }
  state_ = input.ends_with("\r\n") ? State::line_start : input.ends_with('\r') ? State::text_return : State::text;
  return {input.size(), input, false};
}

}  // namespace relais::pop
