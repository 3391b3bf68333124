// The content of DATA and BDAT: where it ends, which dots go, and whether its line ends are lawful.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace relais::smtp {

/// Why a message with a bare CR or LF is refused.
inline constexpr std::string_view kBareLineEnd = "bare CR or LF not allowed, see RFC 5321 section 2.3.8";

/// Checks that every CR is followed by LF and every LF preceded by CR: RFC 5321 §2.3.8. Incremental.
class LineEnds {
 public:
  void feed(std::string_view octets) noexcept;
  /// No violation so far; a CR at the very end counts as one once finish() was called.
  bool good() const noexcept { return good_; }
  void finish() noexcept { good_ = good_ && !cr_; }

 private:
  bool good_ = true;
  bool cr_ = false;  ///< the last octet was CR
};

/// Removes dot-stuffing and finds the end of DATA: RFC 5321 §4.1.1.4, §4.5.2. Incremental, unbuffered: the same answer however the octets
/// are cut.
///
/// Strict: only CR LF "." CR LF ends a message (or "." CR LF as its very first line). A CR without LF or a LF without CR is remembered in
/// good() and neither ends a line nor makes a dot special, so that no other server's idea of a line end can hide a second message in this
/// one ("SMTP smuggling"). What follows such an octet is still read until the real end.
///
/// Threads: one.
class DataFramer {
 public:
  struct Step {
    std::size_t used = 0;  ///< octets of the input that belong to the message or its end
    bool end = false;
  };

  /// @param sink  called with pieces of the content in order, views into `input` or literals: f(std::string_view)
  template <std::invocable<std::string_view> Sink>
  Step feed(std::string_view input, Sink&& sink);

  /// False once a bare CR or LF was seen: the message must be refused after its end.
  bool good() const noexcept { return good_; }
  void reset() noexcept { *this = DataFramer{}; }

 private:
  enum class State : std::uint8_t {
    line_start,  ///< behind CRLF, or at the very beginning
    dot,         ///< line_start and a dot that was not passed on
    dot_cr,      ///< and CR, not passed on either
    text,
    cr,          ///< a CR that was passed on
  };

  State state_ = State::line_start;
  bool good_ = true;
};

template <std::invocable<std::string_view> Sink>
DataFramer::Step DataFramer::feed(std::string_view input, Sink&& sink) {
  std::size_t run = 0;  // start of what was not passed on yet
  std::size_t at = 0;
  const auto pass = [&](std::size_t until) {
    if (until > run) sink(input.substr(run, until - run));
  };
  while (at < input.size()) {
    const char c = input[at];
    switch (state_) {
      case State::line_start:
        if (c == '.') {
          pass(at);
          run = ++at;
          state_ = State::dot;
          continue;
        }
        break;
      case State::dot:
        if (c == '\r') {
          run = ++at;
          state_ = State::dot_cr;
          continue;
        }
        state_ = State::text;  // any other octet: the dot was stuffing
        break;
      case State::dot_cr:
        if (c == '\n') return {at + 1, true};
        good_ = false;  // the CR that was held back is bare
        sink(std::string_view{"\r"});
        run = at;
        state_ = State::text;
        break;
      case State::cr:
        ++at;
        if (c == '\n') {
          state_ = State::line_start;
        } else {
          good_ = false;
          if (c != '\r') state_ = State::text;
        }
        continue;
      case State::text: break;
    }
    // Here `at` is an octet of the content: take everything up to the next CR at once. A bare LF on the way changes nothing but good_.
    const auto rest = input.substr(at);
    const auto text = rest.substr(0, rest.find('\r'));
    if (good_ && text.find('\n') != std::string_view::npos) good_ = false;
    at += text.size();
    state_ = State::text;
    if (text.size() < rest.size()) {
      ++at;
      state_ = State::cr;
    }
  }
  pass(input.size());
  return {input.size(), false};
}

}  // namespace relais::smtp
