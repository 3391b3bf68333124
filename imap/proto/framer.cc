// Cuts the input into commands; see framer.h for the rules that its caller follows.
#include "imap/proto/framer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "imap/proto/announcement.h"
#include "imap/proto/command.h"

namespace relais::imap {
namespace {

/// What an idle session may keep. Octets.
constexpr std::size_t kKeptCapacity = 256;

constexpr std::string_view kAppend = "APPEND";

/// What follows `tag SP "APPEND" SP`; nullopt for other commands.
std::optional<std::string_view> append_arguments(std::string_view line) noexcept {
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto command = line.substr(space + 1);
  if (!istarts_with(command, kAppend) || !command.substr(kAppend.size()).starts_with(' ')) return std::nullopt;
  return command.substr(kAppend.size() + 1);
}

Error too_long() { return {Fault::syntax, "", "Command is too long", {}}; }  // RFC 2683 §3.2.1.5
Error literal_too_large() { return {Fault::refused, "LIMIT", "Literals of this command are too large", {}}; }

}  // namespace

Framer::Step Framer::feed(std::string_view input) {
  std::size_t used = 0;
  for (;;) {
    switch (state_) {
      case State::message: return {used, Event::message};
      case State::done: return {used, Event::command};
      case State::refused: return {used, Event::refused};
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
      case State::skip_line:
      case State::skip_literal:
        used += skip(input.substr(used));
        if (used == input.size() && (state_ == State::skip_line || state_ == State::skip_literal)) return {used, Event::more};
        break;
      case State::line: {
        const auto rest = input.substr(used);
        const auto feed_at = rest.find('\n');
        const auto take =
            std::min(feed_at == std::string_view::npos ? rest.size() : feed_at + 1, limits_.line - std::min(limits_.line, line_octets_));
        text_.append(rest.substr(0, take));
        used += take;
        line_octets_ += take;
        if (feed_at != std::string_view::npos && take == feed_at + 1) {
          if (end_of_line() == Event::go_ahead) return {used, Event::go_ahead};
        } else if (take < rest.size()) {
          // The limit is reached and octets are left: they go, up to the end of the line.
          if (first_line_ && text_.contains(' ')) tag_ = tag_of(text_);
          text_.erase(0, std::max(line_start_, text_.size() - std::min(text_.size(), kAnnouncementTail)));
          start_skipping(too_long());
        } else {
          return {used, Event::more};
        }
        break;
      }
    }
  }
}

/// text_ ends in LF. Decides what the line was; Event::go_ahead or Event::more (look at the state).
Framer::Event Framer::end_of_line() {
  const std::string_view whole(text_);
  auto line = whole.substr(line_start_);
  line.remove_suffix(1);
  const bool strict = line.ends_with('\r');
  if (strict) line.remove_suffix(1);
  const auto line_size = line.size();

  std::optional<std::string_view> arguments;  // of an APPEND, on its first line
  if (first_line_) {
    tag_ = tag_of(line);
    arguments = append_arguments(line);
    append_ = arguments.has_value();
  }
  const bool was_first = std::exchange(first_line_, false);
  const auto announcement = find_announcement(line);

  if (!strict) {
    error_ = {Fault::syntax, {}, "expected CRLF at the end of a line, not a bare LF", {}};
    give_up(announcement ? announcement->literal : Literal{}, announcement.has_value(), announcement && announcement->too_large);
    return Event::more;
  }
  if (!announcement) {
    text_.resize(line_start_ + line_size);
    state_ = State::done;
    return Event::more;
  }

  literal_ = announcement->literal;
  // The first literal of an APPEND is its mailbox when nothing stands before it; every other one is a message.
  const bool names_mailbox = was_first && arguments && arguments->size() == announcement->octets;
  if (announcement->too_large) {
    error_ = literal_too_large();
    give_up(literal_, true, true);
  } else if (append_ && !names_mailbox) {
    text_.resize(line_start_ + line_size);
    state_ = State::message;
  } else if (literal_.size > limits_.literals - literal_octets_ || literal_count_ == limits_.literal_count) {
    error_ = literal_too_large();
    give_up(literal_, true, false);
  } else {
    literal_octets_ += static_cast<std::size_t>(literal_.size);
    ++literal_count_;
    text_.reserve(text_.size() + static_cast<std::size_t>(literal_.size));
    wanted_ = literal_.size;
    state_ = State::literal;
    if (literal_.sync) return Event::go_ahead;
  }
  return Event::more;
}

/// The command is refused with error_. A synchronizing literal will not come: the client waits for our word and gets a NO or a BAD
/// (RFC 9051 §4.3). A non-synchronizing one comes anyhow and is skipped with the rest of the command (RFC 7888 §4).
void Framer::give_up(const Literal& literal, bool announced, bool too_large) {
  if (!announced || literal.sync) {
    state_ = State::refused;
  } else if (too_large || literal.size > limits_.skip - skipped_) {
    state_ = State::broken;
  } else {
    skipped_ += literal.size;
    wanted_ = literal.size;
    text_.clear();
    line_start_ = 0;
    state_ = State::skip_literal;
  }
}

void Framer::start_skipping(Error error) {
  error_ = std::move(error);
  line_start_ = 0;
  first_line_ = false;
  state_ = State::skip_line;
}

/// In the skipping states text_ holds the last octets of the present line, in case it announces one more literal.
std::size_t Framer::skip(std::string_view input) {
  if (state_ == State::skip_literal) {
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(wanted_, input.size()));
    wanted_ -= take;
    if (wanted_ == 0) {
      text_.clear();
      state_ = State::skip_line;
    }
    return take;
  }
  const auto feed_at = input.find('\n');
  const bool ends = feed_at != std::string_view::npos;
  const auto line = input.substr(0, ends ? feed_at + 1 : input.size());
  if (line.size() > limits_.skip - skipped_) {
    const auto take = static_cast<std::size_t>(limits_.skip - skipped_);
    skipped_ = limits_.skip;
    state_ = State::broken;
    return take;
  }
  skipped_ += line.size();
  text_.append(line.substr(line.size() - std::min(line.size(), kAnnouncementTail)));
  if (text_.size() > kAnnouncementTail) text_.erase(0, text_.size() - kAnnouncementTail);
  if (ends) {
    auto tail = std::string_view(text_).substr(0, text_.size() - 1);
    if (tail.ends_with('\r')) tail.remove_suffix(1);
    const auto announcement = find_announcement(tail);
    give_up(announcement ? announcement->literal : Literal{}, announcement.has_value(), announcement && announcement->too_large);
  }
  return line.size();
}

void Framer::next() {
  RELAIS_CHECK(state_ == State::done || state_ == State::refused);
  if (text_.capacity() > kKeptCapacity) {
    text_ = std::string();
  } else {
    text_.clear();
  }
  tag_ = "*";
  error_ = {};
  literal_ = {};
  continued_ = false;
  append_ = false;
  first_line_ = true;
  line_start_ = 0;
  line_octets_ = 0;
  literal_octets_ = 0;
  literal_count_ = 0;
  wanted_ = 0;
  skipped_ = 0;
  state_ = State::line;
}

void Framer::message_taken() {
  RELAIS_CHECK(state_ == State::message);
  text_.clear();
  line_start_ = 0;
  line_octets_ = 0;
  continued_ = true;
  state_ = State::line;
}

void Framer::refuse(Error error) {
  RELAIS_CHECK(state_ == State::message);
  error_ = std::move(error);
  give_up(literal_, true, false);
}

}  // namespace relais::imap
