// What a relayed session has come to: the part of RelayView that remembers.
#include <algorithm>

#include "base/ascii.h"
#include "base/number_set.h"
#include "imap/proto/announcement.h"
#include "imap/proto/command.h"
#include "imap/proto/relay_view.h"

namespace relais::imap {
namespace {

constexpr std::size_t kKeptText = 1'024;   // octets that an idle session may keep
constexpr std::size_t kKeptCommands = 16;  // likewise

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::string_view RelayView::obstacle() const noexcept {
  if (!doubt_.empty()) return doubt_;
  if (bye_) return "the server has said BYE";
  if (state_.mailbox == RelayedState::Mailbox::unsure) return "what is known of the selected mailbox is not certain";
  if (state_.saved) return "a search result was saved";
  return {};
}

void RelayView::doubt(std::string_view why, std::string_view what) {
  if (doubt_.empty()) doubt_.append(why).append(what);
}

// ---- the client's commands

void RelayView::begin_following(std::string_view keyword, bool long_tag) {
  appends_ = iequals(keyword, "APPEND");
  append_ = {};
  if (long_tag) doubt("a tag is too long");
  listed_ = commands_.size() - first_ < limits_.outstanding;
  if (!listed_) return doubt("too many commands are under way");
  if (commands_.size() == first_) candidate_ = {};
  commands_.push_back({.tag = tag_, .keyword = std::string(keyword)});
}

void RelayView::forget_text() noexcept {
  if (text_.capacity() > kKeptText)
    std::string().swap(text_);
  else
    text_.clear();
  too_long_ = false;
}

void RelayView::gather(std::string_view passed) {
  if (too_long_) return;
  too_long_ = passed.size() > limits_.command - text_.size();
  if (too_long_)
    text_.clear();
  else
    text_ += passed;
}

// The text ends in the announcement of a literal.
void RelayView::gather_literal() {
  if (too_long_) return;
  text_.resize(without_line_end(text_).size());
  if (appends_ && append_.at_literal(text_, dialect())) {
    text_.clear();
    return;
  }
  text_.resize(text_.size() - find_announcement(text_).value_or(Announcement{}).octets);
  text_ += kLiteralStandIn;
}

void RelayView::end_of_command(std::string_view text) {
  if (std::exchange(listed_, false)) {
    auto& command = commands_.back();
    command.complete = true;
    if (too_long_ || text.size() > limits_.command)
      command.meaning.known = false;
    else if (appends_)
      command.meaning.known = append_.at_end(without_line_end(text), dialect());
    else
      command.meaning = judge_command(without_line_end(text), dialect());
  }
  forget_text();
}

// ---- the server's lines

// Its oldest command is a SELECT: the server is at it, or about to begin.
bool RelayView::selecting() const noexcept {
  return first_ < commands_.size() && commands_[first_].complete && commands_[first_].meaning.kind == RelayedCommand::Kind::select;
}

void RelayView::leave_mailbox(RelayedState::Mailbox to) {
  state_.mailbox = to;
  state_.select.clear();
  state_.read_only = state_.saved = false;
  state_.uid_validity = state_.exists = 0;
}

void RelayView::tagged_reply() {
  const auto first = commands_.begin() + static_cast<std::ptrdiff_t>(first_);
  const auto answers = [this](const Command& command) { return !command.answered && command.tag == reply_tag_; };
  const auto found = std::find_if(first, commands_.end(), answers);
  if (found == commands_.end()) return doubt("a reply belongs to no command");
  if (event_ == Event::none) doubt("a reply has no status");
  found->answered = true;
  if (!found->complete) {  // the one that the client is saying
    listed_ = false;
    if (event_ == Event::ok) doubt("a command was answered before it was whole");
  } else {
    if (found->meaning.kind != RelayedCommand::Kind::other && std::any_of(first, commands_.end(), answers))
      doubt("two commands under way had the same tag");
    apply(*found, found == first);
  }
  tidy_commands();
}

void RelayView::tidy_commands() {
  while (first_ < commands_.size() && commands_[first_].answered) ++first_;
  candidate_ = {};
  if (first_ == commands_.size()) {
    first_ = 0;
    if (commands_.capacity() > kKeptCommands)
      std::vector<Command>().swap(commands_);
    else
      commands_.clear();
  } else if (first_ > kKeptCommands && first_ > commands_.size() / 2) {
    commands_.erase(commands_.begin(), commands_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void RelayView::apply(const Command& command, bool oldest) {
  using Mailbox = RelayedState::Mailbox;
  const auto& meaning = command.meaning;
  const bool ok = event_ == Event::ok;
  if (ok && !meaning.known) doubt("not served here: ", command.keyword);
  if (ok && meaning.condstore) state_.condstore = true;
  if (ok && meaning.saves) state_.saved = true;
  switch (meaning.kind) {
    case RelayedCommand::Kind::other: break;
    case RelayedCommand::Kind::select:
      if (ok)
        selected(meaning, oldest);
      else  // RFC 9051 §6.3.2: no mailbox is selected then; but not all servers have closed the one before
        leave_mailbox(candidate_.closed || state_.mailbox == Mailbox::none ? Mailbox::none : Mailbox::unsure);
      break;
    case RelayedCommand::Kind::leave:
      if (ok || state_.mailbox != Mailbox::none) leave_mailbox(ok ? Mailbox::none : Mailbox::unsure);
      break;
  }
}

void RelayView::selected(const RelayedCommand& meaning, bool oldest) {
  const bool certain = oldest && candidate_.told && candidate_.uid_validity != 0 && !meaning.mailbox.empty();
  leave_mailbox(certain ? RelayedState::Mailbox::selected : RelayedState::Mailbox::unsure);
  if (!certain) return;
  state_.select = meaning.mailbox;
  state_.utf8 = dialect().utf8;
  state_.read_only = meaning.examine || code_ == Code::read_only;
  state_.uid_validity = candidate_.uid_validity;
  state_.exists = candidate_.exists;
}

void RelayView::untagged_status() {
  using Mailbox = RelayedState::Mailbox;
  switch (code_) {
    case Code::none: break;
    case Code::uid_validity:
      if (selecting())
        candidate_.uid_validity = number_;
      else if (state_.mailbox == Mailbox::selected && number_ != state_.uid_validity)
        leave_mailbox(Mailbox::unsure);
      break;
    case Code::read_only:
    case Code::read_write:
      if (!selecting() && state_.mailbox == Mailbox::selected) state_.read_only = code_ == Code::read_only;
      break;
    case Code::closed:
      if (selecting())
        candidate_.closed = true;
      else
        leave_mailbox(Mailbox::none);
      break;
  }
  // Whoever sends what is no command is told so without a tag.
  if (event_ != Event::bad || first_ == commands_.size() || tag_of(commands_[first_].tag) != "*") return;
  if (outstanding_ > 0) --outstanding_;
  auto& command = commands_[first_];
  if (!command.complete) {
    listed_ = false;
    if (client_ == Client::await_literal) client_ = Client::head;
  }
  command.answered = true;
  tidy_commands();
}

void RelayView::counted() {
  using Mailbox = RelayedState::Mailbox;
  if (selecting()) {
    // What still comes for the mailbox before it comes before the EXISTS of the new one.
    candidate_.told = event_ == Event::exists;
    candidate_.exists = number_;
  } else if (event_ == Event::expunge) {
    if (number_ == 0 || number_ > state_.exists)
      vanished(std::uint64_t{state_.exists} + 1);
    else
      vanished(1);
  } else if (state_.mailbox == Mailbox::selected) {
    if (number_ < state_.exists)
      leave_mailbox(Mailbox::unsure);
    else
      state_.exists = number_;
  }
}

void RelayView::vanished(std::uint64_t count) {
  if (state_.mailbox != RelayedState::Mailbox::selected) return;
  if (count > state_.exists)
    leave_mailbox(RelayedState::Mailbox::unsure);
  else
    state_.exists -= static_cast<std::uint32_t>(count);
}

// vanished-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids; a whole line, or nothing where it is too long     RFC 7162 §7
void RelayView::told(Line line, std::string_view text) {
  const auto words = split(trim(text), ' ');
  if (line == Line::enabled) {
    if (words.size() < 2) return doubt("what was enabled is not known");
    for (std::size_t i = 2; i < words.size(); ++i) enabled(words[i]);
    return;
  }
  if (words.size() > 2 && iequals(words[2], "(EARLIER)")) return;
  if (selecting()) {
    candidate_.told = false;
    return;
  }
  const auto uids = words.size() == 3 ? NumberSet::parse(words[2]) : std::nullopt;
  vanished(uids ? uids->count() : std::uint64_t{state_.exists} + 1);
}

void RelayView::enabled(std::string_view extension) {
  if (extension.empty()) return;
  if (iequals(extension, "CONDSTORE")) {
    state_.condstore = true;
  } else if (iequals(extension, "QRESYNC")) {
    state_.condstore = state_.qresync = true;  // RFC 7162 §3.2.3
  } else if (iequals(extension, "UTF8=ACCEPT")) {
    state_.utf8_accept = true;
  } else if (iequals(extension, "IMAP4rev2")) {
    state_.rev2 = true;
  } else {
    doubt("not served here: ENABLE ", extension);
  }
}

}  // namespace relais::imap
