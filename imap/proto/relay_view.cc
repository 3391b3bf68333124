// Follows what passes between a client and the platform that has its account.
#include "imap/proto/relay_view.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.h"
#include "imap/proto/announcement.h"

namespace relais::imap {
namespace {

constexpr std::size_t kKeptTail = kAnnouncementTail + 2;  // with CRLF

// Remembers the end of a line that has not ended yet.
void keep_tail(std::string& tail, std::string_view passed) {
  if (passed.size() >= kKeptTail) {
    tail.assign(passed.substr(passed.size() - kKeptTail));
    return;
  }
  if (tail.size() + passed.size() > kKeptTail) tail.erase(0, tail.size() + passed.size() - kKeptTail);
  tail.append(passed);
}

// The literal announced by a line: `tail` is what passed of it before, `rest` its end, the LF included.
std::optional<Literal> announced(std::string& tail, std::string_view rest) {
  keep_tail(tail, rest);
  std::string_view line = tail;
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto found = find_announcement(line);
  tail.clear();
  if (!found || found->too_large) return std::nullopt;
  return found->literal;
}

std::string_view upto(std::string_view text, std::string_view ends) { return text.substr(0, text.find_first_of(ends)); }

// What a relayed client may not say; "" for everything else.
std::string_view refusal_of(std::string_view keyword) {
  for (const auto refused : {"STARTTLS", "AUTHENTICATE", "LOGIN", "UNAUTHENTICATE"}) {
    if (iequals(keyword, refused)) return " BAD this command is not allowed now\r\n";
  }
  if (iequals(keyword, "COMPRESS")) return " NO [CANNOT] COMPRESS is not available\r\n";
  return {};
}

bool is_status(std::string_view word) {
  return std::ranges::any_of(std::array{"OK", "NO", "BAD", "BYE", "PREAUTH"}, [&](const char* status) { return iequals(word, status); });
}

// Whether text, as far as it goes, is the beginning of `word` or the other way round.
bool may_begin(std::string_view text, std::string_view word) {
  const auto n = std::min(text.size(), word.size());
  return iequals(text.substr(0, n), word.substr(0, n));
}

}  // namespace

RelayView::RelayView(const std::vector<std::string>& capabilities, RelayViewLimits limits) : limits_(limits), list_("CAPABILITY") {
  for (const auto& capability : capabilities) list_.append(" ").append(capability);
}

bool RelayView::client_may_go_on() const noexcept {
  return client_ != Client::await_literal && client_ != Client::await_idle && client_ != Client::await_turn;
}

bool RelayView::at_boundary() const noexcept {
  if (server_ != Server::front) return false;
  return client_ == Client::head ? outstanding_ == 0 : client_ == Client::idle && outstanding_ == 1;
}

// ---- the client

RelayStep RelayView::from_client(std::string_view octets) {
  RelayStep step;
  while (client_step(octets.substr(step.pass), step)) {
  }
  return step;
}

// False where the step is complete.
bool RelayView::client_step(std::string_view rest, RelayStep& step) {
  switch (client_) {
    case Client::head:
      if (hold_) step.hold = true;
      return !hold_ && begin_command(rest, step);
    case Client::line: return pass_line(rest, step);
    case Client::give_literal:
      client_ = Client::line;
      step.unseen = literal_;
      return literal_ == 0;
    case Client::idle: {
      if (hold_) step.hold = true;
      // DONE passes as one: what comes before a boundary must be whole.
      if (hold_ || rest.empty() || (rest.find('\n') == std::string_view::npos && rest.size() < limits_.front)) return false;
      client_ = Client::done;
      return true;
    }
    case Client::done: {
      const auto end = rest.find('\n');
      step.pass += end == std::string_view::npos ? rest.size() : end + 1;
      if (end == std::string_view::npos) return false;
      client_ = Client::head;
      return true;
    }
    case Client::swallow: swallow(rest, step); return false;
    case Client::await_literal:
    case Client::await_idle:
    case Client::await_turn: step.hold = true; return false;
  }
  return false;
}

bool RelayView::begin_command(std::string_view rest, RelayStep& step) {
  if (rest.empty()) return false;
  const bool much = rest.size() >= limits_.front;
  const auto front = rest.substr(0, limits_.front);
  if (front.starts_with("\n") || front.starts_with("\r\n")) {  // some clients send one too many; nobody answers it
    step.pass += front.front() == '\n' ? 1 : 2;
    return true;
  }
  const auto tag = upto(front, " \r\n");
  std::string_view keyword;
  if (tag.size() == front.size()) {
    if (!much) return false;
  } else if (front[tag.size()] == '\r' && front.size() == tag.size() + 1 && !much) {
    return false;
  } else if (front[tag.size()] == ' ') {
    const auto behind = front.substr(tag.size() + 1);
    keyword = upto(behind, " \r\n");
    if (keyword.size() == behind.size() && !much) return false;
  }
  tag_.assign(tag);
  forget_text();
  if (const auto refusal = refusal_of(keyword); !refusal.empty()) {
    answer_.assign(tag).append(refusal);
    client_ = Client::swallow;
    literal_ = 0;
    swallow(rest, step);
    return false;
  }
  ++outstanding_;
  idles_ = iequals(keyword, "IDLE");
  begin_following(keyword, tag.size() == limits_.front);
  client_ = Client::line;
  return true;
}

bool RelayView::pass_line(std::string_view rest, RelayStep& step) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) {
    keep_tail(client_tail_, rest);
    gather(rest);
    step.pass += rest.size();
    return false;
  }
  const auto line = rest.substr(0, end + 1);
  step.pass += line.size();
  if (const auto literal = announced(client_tail_, line)) {
    gather(line);
    gather_literal();
    literal_ = literal->size;
    if (literal->sync)
      client_ = Client::await_literal;
    else
      step.unseen = literal_;
    step.hold = literal->sync;
    return !literal->sync && literal_ == 0;
  }
  if (text_.empty()) {
    end_of_command(line);
  } else {
    gather(line);
    end_of_command(text_);
  }
  client_ = idles_ ? Client::await_idle : Client::head;
  return true;
}

// RFC 9051 §4.3: a synchronizing literal does not come where its command is refused; one of RFC 7888 does.
void RelayView::swallow(std::string_view rest, RelayStep& step) {
  std::size_t at = 0;
  for (;;) {
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(literal_, rest.size() - at));
    at += skipped;
    literal_ -= skipped;
    const auto line = rest.substr(at);
    const auto end = line.find('\n');
    if (end == std::string_view::npos) {
      keep_tail(client_tail_, line);
      step.drop = rest.size();
      return;
    }
    at += end + 1;
    const auto literal = announced(client_tail_, line.substr(0, end + 1));
    if (!literal || literal->sync) break;
    literal_ = literal->size;
  }
  client_ = Client::await_turn;
  step.drop = at;
  step.hold = true;
}

// ---- the server

RelayStep RelayView::from_server(std::string_view octets) {
  RelayStep step;
  for (;;) {
    const auto rest = octets.substr(step.pass);
    if (server_ == Server::front) {
      if (answer_is_due()) {
        out_.clear();
        give_answer();
        step.instead = out_;
        step.hold = hold_ && at_boundary();
        return step;
      }
      if (hold_ && at_boundary()) {
        step.hold = true;
        return step;
      }
      if (rest.empty() || !classify(rest, line_)) return step;
      if (line_ == Line::tagged || line_ == Line::capability) reply_tag_.assign(upto(rest.substr(0, limits_.front), " \r\n"));
      if (line_ == Line::capability) {
        if (replace_list(rest, step)) return step;
        if (rest.size() < limits_.capabilities) return step;
        line_ = rest.front() == '*' ? Line::status : Line::tagged;
      } else if (line_ == Line::vanished || line_ == Line::enabled) {
        const auto all = rest.substr(0, limits_.capabilities).find('\n');
        if (all == std::string_view::npos && rest.size() < limits_.capabilities) return step;
        told(line_, all == std::string_view::npos ? std::string_view{} : rest.substr(0, all));
        line_ = Line::data;
      }
      own_reply_ = line_ == Line::tagged && reply_tag_ == tag_;
      server_ = Server::line;
    }
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (line_ == Line::data) keep_tail(server_tail_, rest);
      step.pass += rest.size();
      return step;
    }
    step.pass += end + 1;
    if (line_ == Line::data) {
      const auto literal = announced(server_tail_, rest.substr(0, end + 1));
      if (literal && literal->sync) {
        step.unseen = literal->size;
        return step;
      }
    }
    const auto before = client_;
    end_of_line(line_);
    if (client_ != before) {  // it is the client's turn
      step.hold = hold_ && at_boundary();
      return step;
    }
  }
}

void RelayView::give_answer() {
  out_ += answer_;
  answer_.clear();
  client_ = Client::head;
}

// What kind of line this is, from its beginning. The words of a status may end in what looks like a literal: they have none.
bool RelayView::classify(std::string_view rest, Line& line) {
  const bool much = rest.size() >= limits_.front;
  const auto front = rest.substr(0, limits_.front);
  const auto first = upto(front, " \r\n");
  const bool untagged = first == "*";
  if (first.empty()) {
    line = Line::status;
    return true;
  }
  line = first == "+" ? Line::go_ahead : Line::tagged;
  event_ = Event::none;
  code_ = Code::none;
  if (first.size() == front.size()) return much;
  if (line == Line::go_ahead) return true;
  const auto behind = front[first.size()] == ' ' ? front.substr(first.size() + 1) : std::string_view{"\n"};
  if (untagged && ascii_digit(behind.empty() ? ' ' : behind.front())) return classify_number(behind, much, line);
  const auto word = upto(behind, " \r\n");
  const bool whole = word.size() < behind.size();
  if (!whole && !much) return false;
  if (untagged && iequals(word, "CAPABILITY")) {
    line = Line::capability;
    return true;
  }
  if (!is_status(word)) {
    if (untagged) line = iequals(word, "VANISHED") ? Line::vanished : iequals(word, "ENABLED") ? Line::enabled : Line::data;
    return true;
  }
  event_ = iequals(word, "OK") ? Event::ok : iequals(word, "NO") ? Event::no : iequals(word, "BAD") ? Event::bad : Event::none;
  if (untagged) line = Line::status;
  if (untagged && iequals(word, "BYE")) bye_ = true;
  constexpr std::string_view kCode = "[CAPABILITY ";
  const auto text = behind.size() > word.size() ? behind.substr(word.size() + 1) : std::string_view{};
  if (whole && behind[word.size()] != ' ') return true;
  if (!may_begin(text, kCode)) return read_code(text) || much;
  if (text.size() < kCode.size()) return much;
  line = Line::capability;
  return true;
}

// Most lines are of this kind, and of those most are FETCH: one octet behind the number tells.
bool RelayView::classify_number(std::string_view behind, bool much, Line& line) {
  line = Line::data;
  std::size_t end = 0;
  while (end < behind.size() && ascii_digit(behind[end])) ++end;
  if (end == behind.size()) return much;
  if (behind[end] != ' ') return true;
  const auto rest = behind.substr(end + 1);
  if (rest.empty()) return much;
  if (ascii_upper(rest.front()) != 'E') return true;
  const auto word = upto(rest, " \r\n");
  if (word.size() == rest.size() && !much) return false;
  const auto number = parse_u64(behind.substr(0, end));
  if (iequals(word, "EXISTS"))
    event_ = Event::exists;
  else if (iequals(word, "EXPUNGE"))
    event_ = Event::expunge;
  number_ = number && *number <= 0xffff'ffff ? static_cast<std::uint32_t>(*number) : 0xffff'ffff;
  return true;
}

// resp-text-code; false where more of it is needed                             RFC 9051 §7.1
bool RelayView::read_code(std::string_view text) {
  if (!text.starts_with('[')) return true;
  const auto end = text.find_first_of("]\r\n");
  if (end == std::string_view::npos) return false;
  if (text[end] != ']') return true;
  const auto code = text.substr(1, end - 1);
  const auto name = upto(code, " ");
  if (iequals(name, "UIDVALIDITY")) {
    const auto number = parse_u64(code.substr(std::min(code.size(), name.size() + 1)));
    number_ = number && *number <= 0xffff'ffff ? static_cast<std::uint32_t>(*number) : 0;
    code_ = Code::uid_validity;
  } else if (iequals(code, "READ-ONLY")) {
    code_ = Code::read_only;
  } else if (iequals(code, "READ-WRITE")) {
    code_ = Code::read_write;
  } else if (iequals(code, "CLOSED")) {
    code_ = Code::closed;
  }
  return true;
}

// False where the line is not whole yet.
bool RelayView::replace_list(std::string_view rest, RelayStep& step) {
  const auto end = rest.substr(0, limits_.capabilities).find('\n');
  if (end == std::string_view::npos) return false;
  const auto line = rest.substr(0, end + 1);
  const auto first = upto(line, " \r\n");
  const bool tagged = first != "*";
  const auto code = line.find('[');
  out_.assign(line.substr(0, first.size() + 1));
  if (iequals(upto(line.substr(first.size() + 1), " \r\n"), "CAPABILITY")) {
    out_.append(list_).append("\r\n");
  } else {
    const auto close = line.find(']', code);
    out_.assign(line.substr(0, code + 1)).append(list_);
    if (close == std::string_view::npos)
      out_.append("]\r\n");
    else
      out_.append(line.substr(close));
  }
  own_reply_ = tagged && first == tag_;
  end_of_line(tagged ? Line::tagged : Line::status);
  if (answer_is_due()) give_answer();
  step.instead = out_;
  step.drop = end + 1;
  step.hold = hold_ && at_boundary();
  return true;
}

void RelayView::end_of_line(Line line) {
  server_ = Server::front;
  if (line == Line::data) {
    if (event_ != Event::none) counted();
  } else if (line == Line::status) {
    if (event_ != Event::none) untagged_status();
  } else if (line == Line::go_ahead) {
    if (client_ == Client::await_literal) client_ = Client::give_literal;
    if (client_ == Client::await_idle) client_ = Client::idle;
  } else if (line == Line::tagged) {
    if (outstanding_ > 0) --outstanding_;
    tagged_reply();
    // The command that waits, or idles, is over; its literal will not come.
    if (own_reply_ && (client_ == Client::await_literal || client_ == Client::await_idle || client_ == Client::idle))
      client_ = Client::head;
  }
}

std::vector<std::string> relay_capabilities(const std::vector<std::string>& server) {
  std::vector<std::string> out;
  for (const auto& capability : server) {
    const auto is = [&](std::string_view name) { return iequals(capability, name); };
    if (is("STARTTLS") || is("LOGINDISABLED") || is("SASL-IR") || is("UNAUTHENTICATE") || is("NOTIFY")) continue;
    if (istarts_with(capability, "AUTH=") || istarts_with(capability, "COMPRESS=")) continue;
    if (std::ranges::any_of(out, is)) continue;
    // Names are the same in any case (RFC 9051 §6.1.1), but not all clients know; and rights are letters (RFC 4314 §2.1).
    if (is("IMAP4rev1"))
      out.emplace_back("IMAP4rev1");
    else if (is("IMAP4rev2"))
      out.emplace_back("IMAP4rev2");
    else
      out.push_back(istarts_with(capability, "RIGHTS=") ? "RIGHTS=" + to_lower(capability.substr(7)) : capability);
  }
  return out;
}

namespace {

std::string_view name_of_limit(std::string_view capability) {
  const auto equals = capability.find('=');
  return equals == std::string_view::npos || !parse_u64(capability.substr(equals + 1)) ? std::string_view{} : capability.substr(0, equals);
}

}  // namespace

std::vector<std::string> common_capabilities(const std::vector<std::string>& relayed, const std::vector<std::string>& ours) {
  std::vector<std::string> out;
  for (const auto& capability : relayed) {
    const auto limit = name_of_limit(capability);
    for (const auto& own : ours) {
      if (iequals(capability, own) || (iequals(capability, "LITERAL-") && iequals(own, "LITERAL+"))) {  // RFC 7888 §5: it allows less
        out.push_back(capability);
        break;
      }
      if (limit.empty() || !iequals(limit, name_of_limit(own))) continue;
      const bool smaller = *parse_u64(std::string_view(capability).substr(limit.size() + 1)) < *parse_u64(own.substr(limit.size() + 1));
      out.push_back(smaller ? capability : own);
      break;
    }
  }
  return out;
}

}  // namespace relais::imap
