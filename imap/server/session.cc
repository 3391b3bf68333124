// The session loop: read, execute, reply; and the synchronisation of the selected mailbox.
#include "imap/server/session.h"

#include "base/ascii.h"
#include "base/metrics.h"
#include "imap/proto/write.h"
#include "imap/server/adopt.h"
#include "imap/server/capability.h"
#include "imap/server/commands.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace relais::imap {
namespace {

// A command that has begun must end within the session's deadline; a line that answers a "+" within this.
constexpr auto kAnswerLimit = std::chrono::minutes(5);
constexpr auto kByeLimit = std::chrono::seconds(5);  // for the last words

constexpr auto kNotNow = "this command is not allowed now";

struct SessionMetrics {
  metrics::Gauge& sessions = metrics::gauge("relais_imap_sessions", "IMAP sessions open now");
  metrics::Counter& octets_in = metrics::counter("relais_imap_octets_total", "octets of IMAP sessions", {{"direction", "in"}});
  metrics::Counter& octets_out = metrics::counter("relais_imap_octets_total", "octets of IMAP sessions", {{"direction", "out"}});
};

SessionMetrics& counted() {
  static SessionMetrics all;
  return all;
}

}  // namespace

Session::Session(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection)
    : server_(std::move(server)),
      connection_(std::move(connection)),
      framer_(kLimitsBeforeLogin),
      log_("imap", log::new_session_id(), connection_->endpoints().peer_address),
      deadline_(net::in(server_->options().login_limit)) {
  counted().sessions.add(1);
}

Session::~Session() {
  subscription_.reset();  // no hear() begins from here on
  if (watch_) watch_->detach();
  if (account_.account != storage::AccountId{}) server_->leave(account_.account);
  counted().sessions.add(-1);
}

net::asio::awaitable<void> Session::serve(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection) {
  Session session(std::move(server), std::move(connection));
  session.greet();
  while (session.state_ != State::logout || (session.relay_ && co_await session.serve_elsewhere())) {
    if (const auto event = session.take(); event != Framer::Event::more) {
      if (auto done = co_await session.handle(event); !done) {
        session.say_bye(done.error());  // a command waited, for the client's next line or for its turn
        break;
      }
      continue;
    }
    if (session.wants_push()) {
      // Arm, then look, then wait: a change between the look and the wait has made the wake-up pending.
      session.watch_->arm();
      if (session.has_news(true)) {
        if (auto told = co_await session.sync(true); !told) break;
      }
    }
    if (!session.out().empty()) {
      if (auto sent = co_await session.flush(); !sent) break;
      continue;  // what came meanwhile first
    }
    const auto awaiting = session.framer_.idle() ? net::Awaiting::command : net::Awaiting::data;
    if (auto woken = co_await session.connection_->fill(session.deadline_, awaiting); !woken) {
      session.say_bye(woken.error());
      break;
    }
  }
  if (!session.out().empty()) {
    counted().octets_out.add(session.out().size());
    if (auto sent = co_await session.connection_->flush(net::in(kByeLimit)); !sent) {
      session.log_.event(log::Level::debug, "last_words_lost", {{"reason", sent.error().text}});
    }
  }
  session.log_.event(log::Level::debug, "closed", {});
}

net::asio::awaitable<bool> Session::serve_elsewhere() {
  counted().octets_out.add(out().size());
  auto handover = co_await relay_->run(log_);  // sends what is pending first
  relay_.reset();
  if (!handover) co_return false;
  const auto messages = handover->selected ? handover->selected->uids.count() : 0;
  auto adopted = co_await adopt(*this, std::move(*handover));
  count_handover(adopted.has_value());
  if (!adopted) {
    const auto& why = adopted.error();
    log_.event(log::Level::info, "not_adopted", {{"reason", why.text}, {"detail", why.detail}});
    out() += "* BYE [UNAVAILABLE] the mailbox has been moved, connect again\r\n";
    logout();
    co_return false;
  }
  log_.event(log::Level::info, "adopted", {{"messages", messages}});
  co_return true;
}

// RFC 9051 §7.1.1: the greeting may carry the capabilities.
void Session::greet() {
  log_.event(log::Level::debug, "connected", {{"tls", encrypted()}});
  out() += "* OK [CAPABILITY ";
  append_capabilities(out(), *this);
  out().append("] ").append(server_->options().server_name).append(" ready\r\n");
}

Framer::Event Session::take() {
  const auto step = framer_.feed(connection_->buffered());
  if (step.used > 0) {
    counted().octets_in.add(step.used);
    connection_->consume(step.used);
  }
  return step.event;
}

net::Task<void> Session::handle(Framer::Event event) {
  switch (event) {
    case Framer::Event::more: break;
    case Framer::Event::go_ahead: out() += "+ OK\r\n"; break;
    case Framer::Event::message:
      if (idling() || state_ == State::not_authenticated) {
        const Error refusal{Fault::syntax, "", idling() ? "expected DONE" : kNotNow, ""};
        if (idling()) end_idle();
        framer_.refuse(refusal);  // comes back as `refused`
        break;
      }
      [[fallthrough]];
    case Framer::Event::command:
      if (idling()) {
        end_idle();
        framer_.next();
      } else {
        RELAIS_CO_TRY_VOID(co_await execute(event));
      }
      if (state_ != State::not_authenticated) deadline_ = net::in(server_->options().idle_limit);
      break;
    case Framer::Event::refused:
      if (idling()) {
        end_idle();
      } else {
        reply_error(framer_.tag(), framer_.error());
      }
      framer_.next();
      break;
    case Framer::Event::broken:
      out().append("* BYE ").append(framer_.error().text).append("\r\n");
      log_.event(log::Level::info, "broken_off", {{"reason", framer_.error().text}});
      logout();
      break;
  }
  if (full()) co_return co_await flush();
  co_return Result<void>{};
}

net::Task<void> Session::execute(Framer::Event event) {
  auto parsed = parse_tagged(framer_.text());
  if (!parsed) {
    reply_unread(event, parsed.error());
    co_return Result<void>{};
  }
  const Tagged command = std::move(*parsed);
  const auto& row = row_of(command.command);
  if ((row.states & static_cast<std::uint8_t>(state_)) == 0) {
    reply_unread(event, {Fault::syntax, "", kNotNow, ""});
    co_return Result<void>{};
  }
  count_command(command.command);
  announced_ = event == Framer::Event::message;
  if (selected_ && (row.flags & kNewsFirst) != 0 && has_news(false)) {
    RELAIS_CO_TRY_VOID(co_await sync(false));
    if (!selected_ || state_ == State::logout) {  // deleted meanwhile
      if (state_ != State::logout) reply_error(command.tag, {Fault::refused, "NONEXISTENT", "the mailbox was deleted", ""});
      framer_.next();
      co_return Result<void>{};
    }
  }
  auto done = co_await row.handler(*this, command);
  if (!done && done.error().fault == Fault::closed) co_return fail(std::move(done).error());
  framer_.next();
  const bool bad = !done && done.error().fault == Fault::syntax;
  if (selected_ && !bad && state_ != State::logout) {
    const bool expunges = (row.flags & (command.uid ? kUidMayExpunge : kMayExpunge)) != 0;
    if (has_news(expunges)) RELAIS_CO_TRY_VOID(co_await sync(expunges));
    if (state_ == State::logout) co_return Result<void>{};
    if (selected_ && enabled_.qresync) append_safe_mod_seq();
  }
  if (!done) {
    reply_error(command.tag, done.error());
  } else if (!done->later) {
    out().append(command.tag).append(" OK ").append(done->text).append("\r\n");
    bad_commands_ = 0;
  }
  co_return Result<void>{};
}

// ---- errors and ends

// A command that nobody executes. The message of an APPEND may be on its way: then the reply waits for the framer's `refused`.
void Session::reply_unread(Framer::Event event, const Error& error) {
  if (event == Framer::Event::message) {
    framer_.refuse(error);
  } else {
    reply_error(tag_of(framer_.text()), error);
    framer_.next();
  }
}

void Session::reply_error(std::string_view tag, const Error& error) {
  if (error.fault == Fault::temporary)
    log_.event(log::Level::warning, "refused", {{"code", error.code}, {"reason", error.text}, {"detail", error.detail}});
  if (error.fault == Fault::corrupt)
    log_.event(log::Level::error, "corrupt", {{"code", error.code}, {"reason", error.text}, {"detail", error.detail}});
  if (error.fault == Fault::temporary) {
    out() += reply_for(tag, {error.fault, "UNAVAILABLE", error.text, ""});  // the storage's codes are not IMAP's
  } else {
    out() += reply_for(tag, error);
  }
  if (error.fault == Fault::syntax) count_bad();
}

// A client that only sends what is not IMAP is no IMAP client.
void Session::count_bad() {
  ++bad_commands_;
  const auto allowed = server_->options().max_bad_commands / (state_ == State::not_authenticated ? 4 : 1);
  if (bad_commands_ <= allowed) return;
  out() += "* BYE too many bad commands\r\n";
  log_.event(log::Level::info, "too_many_bad_commands", {});
  logout();
}

void Session::say_bye(const Error& error) {
  if (error.code == "shutdown") {
    out() += "* BYE [UNAVAILABLE] shutting down\r\n";
  } else if (error.code == "timeout") {
    out() += state_ == State::not_authenticated ? "* BYE login took too long\r\n" : "* BYE autologout; idle for too long\r\n";
  }
}

// ---- state

Result<void> Session::login(storage::AccountRef account, const directory::NameView& names) {
  if (!server_->enter(account.account)) return fail(Fault::refused, "too many connections of this account", "LIMIT");
  account_ = account;
  if (!names.is_ours()) names_ = std::make_unique<const directory::NameView>(names);
  state_ = State::authenticated;
  framer_.set_limits(FramerLimits{});
  deadline_ = net::in(server_->options().idle_limit);
  return {};
}

Result<void> Session::hand_over(storage::AccountRef account, std::unique_ptr<Relay> relay) {
  RELAIS_TRY_VOID(login(account, {}));
  relay_ = std::move(relay);
  logout();  // here
  return {};
}

Result<std::string> Session::stored_name(std::string shown) const {
  if (!names_) return shown;
  return names_->to_storage(shown);
}

std::string_view Session::shown_name(const std::string& stored, std::string& buffer) const {
  if (!names_) return stored;
  buffer = names_->to_wire(stored);
  return buffer;
}

void Session::go_on(storage::AccountRef account, const directory::NameView& names, std::string idle_tag) {
  account_ = account;
  if (!names.is_ours()) names_ = std::make_unique<const directory::NameView>(names);
  state_ = State::authenticated;
  idle_tag_ = std::move(idle_tag);
  deadline_ = net::in(server_->options().idle_limit);
}

void Session::listen() {
  if (!watch_) {
    watch_ = std::make_shared<Watch>(*connection_);
    watch_->follow_any();
    auto hear = [watch = watch_](const storage::ChangeEvent& event) { watch->hear(event); };
    subscription_ = store().subscribe_changes(account_.account, std::move(hear));
  } else {
    watch_->follow_any();
  }
}

void Session::select(std::unique_ptr<Selected> selected) {
  watch_->follow(selected->id);
  selected_ = std::move(selected);
  state_ = State::selected;
}

void Session::unselect() {
  if (watch_) watch_->follow_none();
  selected_.reset();
  if (state_ == State::selected) state_ = State::authenticated;
}

void Session::forget_client() {
  enabled_ = {};
  bad_commands_ = 0;
  deadline_ = net::in(server_->options().login_limit);
}

// RFC 7162 §3.1: the first such command tells HIGHESTMODSEQ of the selected mailbox.
void Session::enable_condstore() {
  if (std::exchange(enabled_.condstore, true) || !selected_) return;
  out() += "* OK [HIGHESTMODSEQ ";
  append_number(out(), selected_->synced);
  out() += "] highest modification sequence\r\n";
}

void Session::idle(std::string tag) { idle_tag_ = std::move(tag); }

// RFC 9051 §6.3.13: only "DONE" may come now.
void Session::end_idle() {
  const auto tag = std::exchange(idle_tag_, {});
  if (watch_) watch_->disarm();
  if (iequals(framer_.text(), "DONE")) {
    out().append(tag).append(" OK IDLE completed\r\n");
  } else {
    reply_error(tag, {Fault::syntax, "", "expected DONE", ""});
  }
}

// ---- output

net::Task<void> Session::flush() {
  counted().octets_out.add(out().size());
  return connection_->flush(net::in(server_->options().write_limit));
}

net::Task<void> Session::flush_over(std::size_t limit) {
  if (full(limit)) co_return co_await flush();
  co_return Result<void>{};
}

net::asio::awaitable<void> Session::yield() { return net::asio::post(connection_->loop().executor(), net::asio::use_awaitable); }

// ---- input

void Session::count_input(std::size_t octets) noexcept { counted().octets_in.add(octets); }

net::Task<Framer::Event> Session::next_event(net::Deadline deadline) {
  for (;;) {
    const auto event = take();
    if (event == Framer::Event::go_ahead) {
      out() += "+ OK\r\n";
    } else if (event != Framer::Event::more) {
      if (event == Framer::Event::broken) {
        out().append("* BYE ").append(framer_.error().text).append("\r\n");
        co_return fail(Fault::closed, "the client can't be followed");
      }
      co_return event;
    } else if (!out().empty()) {
      RELAIS_CO_TRY_VOID(co_await flush());
    } else {
      auto woken = co_await connection_->fill(deadline, net::Awaiting::data);
      if (!woken) {
        say_bye(woken.error());
        co_return fail(std::move(woken).error());
      }
    }
  }
}

net::Task<std::string> Session::read_line() {
  framer_.next();
  auto limit = net::in(kAnswerLimit);
  if (state_ == State::not_authenticated) limit = std::min(limit, deadline_);
  RELAIS_CO_TRY(const auto event, co_await next_event(limit));
  if (event == Framer::Event::command) co_return std::string(framer_.text());
  if (event == Framer::Event::message)
    co_return fail(co_await refuse_message({Fault::syntax, "", "expected an answer, not a command", ""}));
  co_return fail(framer_.error());
}

net::asio::awaitable<Error> Session::refuse_message(Error error) {
  framer_.refuse(std::move(error));
  auto event = co_await next_event(deadline_);
  co_return event ? framer_.error() : std::move(event).error();
}

// ---- the selected mailbox

bool Session::has_news(bool expunges) const noexcept {
  const auto& box = *selected_;
  return watch_->mod_seq() > box.synced || box.stale || (expunges && !box.gone.empty());
}

net::Task<void> Session::sync(bool expunges) {
  auto& box = *selected_;
  if (watch_->mod_seq() <= box.synced && !box.stale) {
    if (expunges) co_return co_await send_expunges();
    co_return Result<void>{};
  }
  // All that was heard of is in what changes() reads: mod-sequences ascend over the whole account, in commit order.
  const auto heard = watch_->mod_seq();
  auto asked = co_await store().changes(account_, box.id, box.synced, true);
  if (!asked) {
    if (asked.error().fault == Fault::refused) {  // NONEXISTENT
      mailbox_gone();
      co_return Result<void>{};
    }
    // The command itself was answered by what it found; what is news can wait for the next one.
    log_.event(log::Level::warning, "sync_failed", {{"reason", asked.error().text}, {"detail", asked.error().detail}});
    co_return Result<void>{};
  }
  const auto& changes = *asked;
  if (!changes.exists || changes.uid_validity != box.uid_validity) {
    mailbox_gone();
    co_return Result<void>{};
  }
  box.expunged(changes.vanished);
  if (expunges) RELAIS_CO_TRY_VOID(co_await send_expunges());

  const auto first_new = box.uid_next;
  const auto before = box.exists();
  const auto is_known = [first_new](const storage::FlagChange& change) { return change.uid < first_new; };
  const auto known_end = std::partition_point(changes.changed.begin(), changes.changed.end(), is_known);
  for (auto added = known_end; added != changes.changed.end(); ++added) box.uids.add(added->uid);
  if (changes.uid_next > first_new) {
    const auto recent = store().claim_recent(account_, box.id, first_new, changes.uid_next, !box.read_only);
    if (recent < changes.uid_next) box.recent.add(NumberRange{recent, changes.uid_next - 1});
    box.uid_next = changes.uid_next;
  }
  if (box.exists() != before) append_exists();
  if (changes.keywords != box.keywords) {
    box.keywords = changes.keywords;
    append_flag_lists();
  }
  FlagsWriter writer(box.keywords);
  for (auto change = changes.changed.begin(); change != known_end; ++change) {  // of the new ones EXISTS says enough: the client will ask
    if (box.is_own(change->mod_seq) || !box.uids.contains(change->uid)) continue;
    append_flags_response(*change, writer);
    if (full()) RELAIS_CO_TRY_VOID(co_await flush());
  }
  box.synced = std::max(box.synced, changes.highest_mod_seq);
  if (heard > box.synced) watch_->settle(heard, box.synced);  // it was another mailbox, while this one was being opened
  box.stale = false;
  box.own.clear();
  co_return Result<void>{};
}

void Session::append_exists() {
  append_count(out(), selected_->exists(), "EXISTS");
  if (!enabled_.rev2) append_count(out(), selected_->recent_count(), "RECENT");
}

void Session::append_flags_response(const storage::FlagChange& change, FlagsWriter& writer) {
  auto& to = out();
  to += "* ";
  append_number(to, selected_->sequence_of(change.uid));
  to += " FETCH (UID ";  // RFC 9051 §7.5.2: unsolicited ones must have it
  append_number(to, change.uid);
  to += " FLAGS ";
  writer.append(to, change.flags, !enabled_.rev2 && selected_->is_recent(change.uid));
  if (enabled_.condstore) {
    to += " MODSEQ (";
    append_number(to, change.mod_seq);
    to += ')';
  }
  to += ")\r\n";
}

void Session::own_flag_changes(const storage::StoreFlagsResult& stored, bool told) {
  if (stored.keywords != selected_->keywords) {
    selected_->keywords = stored.keywords;
    append_flag_lists();
  }
  // Messages that were so already have the mod-sequences of others' changes, which concern more than these messages.
  if (stored.made != 0 && (told || stored.made == selected_->synced + 1)) selected_->own_change(stored.made);
}

net::Task<void> Session::send_expunges() {
  auto& box = *selected_;
  if (box.gone.empty()) co_return Result<void>{};
  auto& to = out();
  if (enabled_.qresync) {
    append_vanished(to, box.gone, false);  // RFC 7162 §3.2.10: in place of EXPUNGE
  } else {
    // From the last to the first: no number is changed by those sent before it.
    const auto ranges = box.gone.ranges();
    for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
      const auto first = box.sequence_of(range->first);
      for (auto sequence = box.sequence_of(range->last); sequence >= first; --sequence) {
        append_count(to, sequence, "EXPUNGE");
        if (full()) RELAIS_CO_TRY_VOID(co_await flush());
      }
    }
  }
  box.uids.remove(box.gone);
  if (box.saved) box.saved->remove(box.gone);
  box.gone = {};
  co_return Result<void>{};
}

void Session::append_flag_lists() {
  out() += "* FLAGS (";
  append_all_flags(out(), selected_->keywords);
  out() += ")\r\n";
  if (selected_->read_only) return;
  out() += "* OK [PERMANENTFLAGS (";
  append_all_flags(out(), selected_->keywords);
  out().append(keywords_free(selected_->keywords) ? " \\*" : "").append(")] flags permitted\r\n");
}

// RFC 7162 §3.2: FETCH responses may have told mod-sequences above those of removals that could not be told yet. A client that lost the
// connection now would miss them, so it is told how far it may count on what it has.
void Session::append_safe_mod_seq() {
  auto& box = *selected_;
  const bool behind = !box.gone.empty() || !box.own.empty();
  if (!behind) {
    box.safe = box.synced;
    if (!box.told_safe) return;
  }
  box.told_safe = behind;
  out() += "* OK [HIGHESTMODSEQ ";
  append_number(out(), box.safe);
  out() += behind ? "] not all changes could be told\r\n" : "] all changes are told\r\n";
}

// Another session deleted the mailbox. RFC 9051 §3 (6) knows an unsolicited CLOSED; a client of RFC 3501 must be disconnected (RFC 2180
// §3.3).
void Session::mailbox_gone() {
  log_.event(log::Level::info, "selected_mailbox_deleted", {});
  if (enabled_.rev2 || enabled_.qresync) {
    out() += "* OK [CLOSED] the mailbox was deleted\r\n";
    unselect();
  } else {
    out() += "* BYE the selected mailbox was deleted\r\n";
    logout();
  }
}

}  // namespace relais::imap
