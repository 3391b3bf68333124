// Cuts a server's responses; see response_framer.h.
#include "imap/proto/response_framer.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/check.h"
#include "imap/proto/announcement.h"

namespace relais::imap {
namespace {

/// What an idle connection may keep. Octets.
constexpr std::size_t kKeptCapacity = 4096;

}  // namespace

ResponseFramer::Step ResponseFramer::feed(std::string_view input) {
  std::size_t used = 0;
  for (;;) {
    switch (state_) {
      case State::outside: return {used, Event::literal};
      case State::done: return {used, Event::response};
      case State::broken: return {used, Event::broken};
      case State::literal: {
        const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(wanted_, input.size() - used));
        text_.append(input.substr(used, take));
        used += take;
        wanted_ -= take;
        if (wanted_ > 0) return {used, Event::more};
        line_start_ = text_.size();
        state_ = State::line;
        break;
      }
      case State::line: {
        const auto rest = input.substr(used);
        const auto end = rest.find('\n');
        const auto take =
            std::min(end == std::string_view::npos ? rest.size() : end + 1, limits_.text - std::min(limits_.text, text_.size()));
        text_.append(rest.substr(0, take));
        used += take;
        if (end != std::string_view::npos && take == end + 1) {
          end_of_line();
        } else if (take < rest.size()) {
          state_ = State::broken;
        } else {
          return {used, Event::more};
        }
        break;
      }
    }
  }
}

void ResponseFramer::end_of_line() {
  auto line = std::string_view(text_).substr(line_start_);
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto line_size = line.size();
  const auto found = find_announcement(line);
  if (!found || !found->literal.sync) {  // RFC 7888 §3: a server MUST NOT send `{n+}`
    text_.resize(line_start_ + line_size);
    state_ = State::done;
    return;
  }
  wanted_ = found->literal.size;
  if (found->too_large) {
    state_ = State::broken;
  } else if (wanted_ <= limits_.inlined) {
    state_ = wanted_ <= limits_.text - std::min(limits_.text, text_.size()) ? State::literal : State::broken;
  } else {
    text_.resize(line_start_ + line_size - 1);  // up to the number's end: "{12"
    text_ += '@';
    append_number(text_, literals_++);
    text_ += "}\r\n";
    state_ = State::outside;
  }
}

void ResponseFramer::literal_taken() {
  RELAIS_CHECK(state_ == State::outside);
  line_start_ = text_.size();
  wanted_ = 0;
  state_ = State::line;
}

void ResponseFramer::next() {
  RELAIS_CHECK(state_ == State::done);
  if (text_.capacity() > kKeptCapacity) {
    text_ = std::string();
  } else {
    text_.clear();
  }
  line_start_ = 0;
  literals_ = 0;
  state_ = State::line;
}

}  // namespace relais::imap
