// One HTTP/1.1 response, line by line and then by count.
#include "net/http_response.h"

#include "base/ascii.h"

#include <algorithm>
#include <charconv>

namespace relais::net {
namespace {

std::unexpected<Error> not_http(std::string_view why) { return fail(Fault::syntax, "not an HTTP response", "", why); }
std::unexpected<Error> too_large() { return fail(Fault::refused, "the web server sends too much", "size"); }

bool is_token(std::string_view text) noexcept {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";  // RFC 9110 §5.6.2
  return !text.empty() && std::ranges::all_of(text, [&](char c) { return ascii_alpha(c) || ascii_digit(c) || kOther.contains(c); });
}

}  // namespace

Result<bool> HttpResponseParser::feed(std::string_view octets) {
  while (state_ != State::done) {
    if (state_ == State::length || state_ == State::chunk || state_ == State::to_end) {
      const auto piece = octets.substr(0, state_ == State::to_end ? octets.size() : std::min<std::uint64_t>(left_, octets.size()));
      if (piece.size() > max_body_ - response_.body.size()) return too_large();
      response_.body.append(piece);
      octets.remove_prefix(piece.size());
      if (state_ == State::to_end) return false;
      left_ -= piece.size();
      if (left_ > 0) return false;
      state_ = state_ == State::length ? State::done : State::chunk_end;
      continue;
    }
    const auto end = octets.find('\n');
    const auto piece = octets.substr(0, std::min(end, octets.size()));
    header_octets_ += piece.size() + 1;
    if (header_octets_ > kMaxHeader) return too_large();
    line_.append(piece);
    if (end == std::string_view::npos) {
      --header_octets_;  // the line end is counted when it comes
      return false;
    }
    octets.remove_prefix(end + 1);
    if (line_.ends_with('\r')) line_.pop_back();
    RELAIS_TRY_VOID(take_line(line_));
    line_.clear();
  }
  return true;
}

Result<void> HttpResponseParser::end() {
  if (state_ == State::to_end) state_ = State::done;
  if (state_ != State::done) return fail(Fault::closed, "the web server ended the connection too early");
  return {};
}

Result<void> HttpResponseParser::take_line(std::string_view line) {
  switch (state_) {
    case State::status: return take_status(line);
    case State::fields:
      if (line.empty()) return begin_body();
      return take_field(line);
    case State::chunk_size: return take_chunk_size(line);
    case State::chunk_end:
      if (!line.empty()) return not_http("a chunk that is longer than its size");
      state_ = State::chunk_size;
      return {};
    case State::trailers:
      if (line.empty()) state_ = State::done;
      return {};
    case State::length:
    case State::chunk:
    case State::to_end:
    case State::done: break;
  }
  return not_http("a line in the body");
}

// status-line = HTTP-version SP status-code SP [ reason-phrase ]        RFC 9112 §4
Result<void> HttpResponseParser::take_status(std::string_view line) {
  const bool shape =
      line.size() >= 12 && line.starts_with("HTTP/1.") && ascii_digit(line[7]) && line[8] == ' ' && (line.size() == 12 || line[12] == ' ');
  const auto code = shape ? parse_u64(line.substr(9, 3)) : std::nullopt;
  if (!code || *code < 100 || *code > 599) return not_http("no status line");
  response_.status = static_cast<int>(*code);
  state_ = State::fields;
  return {};
}

// field-line = field-name ":" OWS field-value OWS        RFC 9112 §5
Result<void> HttpResponseParser::take_field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return not_http("no field");
  const auto name = line.substr(0, colon);
  const auto value = trim(line.substr(colon + 1));
  if (iequals(name, "Content-Length")) {
    // RFC 9112 §6.3: several different ones, or anything but digits, cannot be trusted.
    const auto length = parse_u64(value);
    if (!length || (has_length_ && *length != left_)) return not_http("no length");
    has_length_ = true;
    left_ = *length;
  } else if (iequals(name, "Transfer-Encoding")) {
    if (!iequals(value, "chunked")) return not_http("an unknown transfer coding");
    chunked_ = true;
  } else if (iequals(name, "Content-Type")) {
    response_.content_type = to_lower(trim(value.substr(0, value.find(';'))));
  }
  return {};
}

// RFC 9112 §6.3: which of the ways a body has to end is in force.
Result<void> HttpResponseParser::begin_body() {
  if (response_.status < 200) {
    // RFC 9110 §15.2: the final response follows an interim one. 101 was never asked for.
    if (response_.status == 101) return not_http("a change of protocol");
    response_ = {};
    has_length_ = chunked_ = false;
    left_ = 0;
    state_ = State::status;
    return {};
  }
  if (chunked_ && has_length_) return not_http("both a length and chunks");
  if (response_.status == 204 || response_.status == 304) {
    state_ = State::done;
  } else if (chunked_) {
    state_ = State::chunk_size;
  } else if (has_length_) {
    if (left_ > max_body_) return too_large();
    response_.body.reserve(left_);
    state_ = left_ == 0 ? State::done : State::length;
  } else {
    state_ = State::to_end;
  }
  return {};
}

// chunk-size [ chunk-ext ]        RFC 9112 §7.1
Result<void> HttpResponseParser::take_chunk_size(std::string_view line) {
  const auto digits = trim(line.substr(0, line.find(';')));
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return not_http("no chunk size");
  if (size > max_body_ - response_.body.size()) return too_large();
  left_ = size;
  state_ = size == 0 ? State::trailers : State::chunk;
  return {};
}

}  // namespace relais::net
