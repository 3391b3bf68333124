// Dots, line ends and the end of DATA.
#include "smtp/proto/dot_stuffing.h"

#include <algorithm>

namespace relais::smtp {
namespace {

/// Where the next octet of one kind is. Looks at each octet once, however often it is asked.
class Next {
 public:
  Next(std::string_view text, char what) : text_(text), what_(what), at_(text.find(what)) {}
  /// At or behind `from`, which never goes back; the text's size where there is none.
  std::size_t from(std::size_t from) {
    if (at_ < from) at_ = text_.find(what_, from);
    return std::min(at_, text_.size());
  }

 private:
  std::string_view text_;
  char what_;
  std::size_t at_;
};

}  // namespace

DotStuffer::Step DotStuffer::feed(std::string_view input, std::span<std::string_view, kPieces> pieces) {
  constexpr std::size_t kPerRound = 4;  // a dot and a line end, each with what stands before it
  Next cr(input, '\r');
  Next lf(input, '\n');
  std::size_t count = 0;
  std::size_t begin = 0;  // of what was not passed on yet
  std::size_t at = 0;
  const auto pass = [&] {
    if (at > begin) pieces[count++] = input.substr(begin, at - begin);
    begin = at;
  };
  const auto insert = [&](std::string_view literal) {
    pass();
    pieces[count++] = literal;
  };
  while (at < input.size() && count + kPerRound < kPieces) {
    if (state_ == State::cr) {
      if (input[at] == '\n')
        ++at;
      else
        insert("\n");
      state_ = State::line_start;
      continue;
    }
    if (state_ == State::line_start && input[at] == '.') insert(".");
    const auto next_cr = cr.from(at);
    const auto next_lf = lf.from(at);
    at = std::min(next_cr, next_lf);
    state_ = State::text;
    if (next_cr < next_lf) {
      ++at;
      state_ = State::cr;
    } else if (next_lf < next_cr) {
      insert("\r");
      ++at;
      state_ = State::line_start;
    }
  }
  pass();
  return {at, count};
}

std::string_view DotStuffer::finish() {
  switch (state_) {
    case State::line_start: return ".\r\n";
    case State::text: return "\r\n.\r\n";
    case State::cr: return "\n.\r\n";
  }
  return {};
}

}  // namespace relais::smtp
