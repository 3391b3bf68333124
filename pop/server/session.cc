// The session's loop, its command table, and the commands that need neither a password nor a message's text.
#include "pop/server/session.h"

#include "base/ascii.h"
#include "base/metrics.h"
#include "directory/digest.h"
#include "pop/proto/reply.h"

#include <algorithm>

namespace relais::pop {
namespace {

metrics::Counter& commands_counter() {
  static auto& counter = metrics::counter("relais_pop_commands_total", "POP3 commands executed.");
  return counter;
}
metrics::Gauge& sessions_gauge() {
  static auto& gauge = metrics::gauge("relais_pop_sessions", "POP3 sessions that are open.");
  return gauge;
}
metrics::Counter& deleted_counter() {
  static auto& counter = metrics::counter("relais_pop_deleted_total", "Messages removed by POP3 clients.");
  return counter;
}

constexpr std::uint8_t in_state(State state) noexcept { return static_cast<std::uint8_t>(state); }
constexpr std::uint8_t kAuthorization = in_state(State::authorization);
constexpr std::uint8_t kTransaction = in_state(State::transaction);

}  // namespace

/// What may run when.
struct Session::Row {
  Verb verb;
  std::uint8_t states;
  net::Task<void> (Session::*run)(Command&);
};

// In the order of Verb.
constexpr Session::Row Session::kCommands[] = {
    {Verb::auth, kAuthorization, &Session::auth},
    {Verb::capa, kAuthorization | kTransaction, &Session::capa},
    {Verb::dele, kTransaction, &Session::dele},
    {Verb::list, kTransaction, &Session::list},
    {Verb::noop, kTransaction, &Session::noop},
    {Verb::pass, kAuthorization, &Session::pass},
    {Verb::quit, kAuthorization | kTransaction, &Session::quit},
    {Verb::retr, kTransaction, &Session::retr},
    {Verb::rset, kTransaction, &Session::rset},
    {Verb::stat, kTransaction, &Session::stat},
    {Verb::stls, kAuthorization, &Session::stls},
    {Verb::top, kTransaction, &Session::top},
    {Verb::uidl, kTransaction, &Session::uidl},
    {Verb::user, kAuthorization, &Session::user},
    {Verb::utf8, kAuthorization, &Session::utf8},
};

Session::Session(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection)
    : server_(std::move(server)),
      connection_(std::move(connection)),
      log_("pop3", log::new_session_id(), connection_->endpoints().peer_address),
      login_(
          {*services().directory, services().relay.moves, services().relay.gate, services().relay.moved},
          connection_->endpoints().peer_address, options().relay.login_wait,
          [this](directory::Located who, std::optional<std::string> password) { return open_relay(std::move(who), std::move(password)); }),
      login_deadline_(net::in(server_->options().login_total)),
      prefetch_(*server_->services().store, server_->prefetched(), server_->options().prefetch_octets, server_->options().prefetch_total) {
  sessions_gauge().add(1);
}

Session::~Session() { sessions_gauge().add(-1); }

net::asio::awaitable<void> Session::run() {
  log_.event(log::Level::debug, "connected", {{"tls", encrypted()}});
  append_ok(out(), "Relais POP3 ready");
  while (state_ != State::over) {
    if (auto done = co_await one_command(); !done) end_after(done.error());
  }
  if (relay_)
    co_await relay_->run(log_);  // sends what is queued first
  else
    static_cast<void>(co_await flush());
  log_.event(log::Level::debug, "disconnected", {{"retrieved", retrieved_}});
}

net::Task<void> Session::one_command() {
  RELAIS_CO_TRY(const auto step, co_await read_line(kMaxCommandLine));
  if (step.event == LineFramer::Event::endless) {
    end("", "line too long");
    co_return Result<void>{};
  }
  auto command = step.event == LineFramer::Event::line ? parse_command(step.line) : fail(Fault::syntax, "line too long");
  connection_->consume(step.used);
  if (!command) {
    protocol_error(command.error());
    co_return Result<void>{};
  }
  auto done = co_await execute(*command);
  if (command->verb == Verb::pass) directory::wipe(command->text);
  if (done || done.error().fault == Fault::closed) co_return done;
  if (done.error().fault == Fault::syntax) {
    protocol_error(done.error());
    co_return Result<void>{};
  }
  if (done.error().fault != Fault::refused) {
    log_.event(done.error().fault == Fault::corrupt ? log::Level::error : log::Level::warning, "command failed",
               {{"command", to_string(command->verb)}, {"text", done.error().text}, {"detail", done.error().detail}});
  }
  append_error(out(), done.error());
  co_return Result<void>{};
}

net::Task<void> Session::execute(Command& command) {
  const auto& row = kCommands[static_cast<std::size_t>(command.verb)];
  if ((row.states & in_state(state_)) == 0) {
    co_return fail(Fault::syntax, state_ == State::authorization ? "log in first" : "logged in already");
  }
  commands_counter().add();
  co_return co_await (this->*row.run)(command);
}

net::Task<LineFramer::Step> Session::read_line(std::size_t limit) {
  const auto deadline = command_deadline();
  for (;;) {
    const auto step = framer_.feed(connection_->buffered(), limit);
    if (step.event != LineFramer::Event::more) co_return step;
    connection_->consume(step.used);
    RELAIS_CO_TRY_VOID(co_await flush());
    RELAIS_CO_TRY_VOID(co_await connection_->fill(deadline, net::Awaiting::command));
  }
}

// RFC 1939 §3: any command restarts the autologout timer; a part of one does not.
net::Deadline Session::command_deadline() const {
  if (state_ == State::authorization) return std::min(net::in(options().login_limit), login_deadline_);
  return net::in(options().idle_limit);
}

net::Task<void> Session::flush() {
  if (out().empty()) co_return Result<void>{};
  co_return co_await connection_->flush(net::in(options().write_limit));
}

void Session::protocol_error(const Error& error) {
  append_error(out(), error);
  if (++bad_commands_ >= options().max_bad_commands) end("", "too many bad commands");
}

void Session::end(std::string_view code, std::string_view text) {
  append_err(out(), code, text);
  state_ = State::over;
}

void Session::end_after(const Error& closed) {
  // RFC 1939 §3: autologout sends no response and removes nothing.
  if (closed.code == "shutdown") append_err(out(), "SYS/TEMP", "shutting down, come back soon");
  log_.event(log::Level::debug, "closed", {{"reason", closed.code}, {"detail", closed.detail}});
  state_ = State::over;
}

net::Task<void> Session::noop(Command&) {
  append_ok(out(), "");
  co_return Result<void>{};
}

net::Task<void> Session::quit(Command&) {
  if (state_ == State::transaction)
    RELAIS_CO_TRY_VOID(co_await update());
  else
    append_ok(out(), "goodbye");
  state_ = State::over;
  co_return Result<void>{};
}

// The UPDATE state, RFC 1939 §6: removes what DELE marked, all or none, and releases the maildrop whatever happens.
net::Task<void> Session::update() {
  auto& store = *services().store;
  prefetch_.drop();
  auto deleted = drop_.deleted();
  const auto count = deleted.count();
  auto seen = drop_.newly_seen();
  state_ = State::over;
  if (count > 0) {
    auto removed = co_await store.expunge(drop_.account(), drop_.mailbox(), std::move(deleted), true);
    if (!removed) {
      log_.event(log::Level::warning, "deletion failed",
                 {{"messages", count}, {"text", removed.error().text}, {"detail", removed.error().detail}});
      append_error(out(), Error{removed.error().fault, "", "deleted messages not removed", ""});
      held_.reset();
      co_return Result<void>{};
    }
    deleted_counter().add(count);
  }
  if (options().mark_seen && !seen.empty()) {
    storage::StoreFlagsRequest request;
    request.uids = std::move(seen);
    request.operation = storage::FlagOperation::add;
    request.system_flags = storage::kSeen;
    // A flag less is no reason to tell the client that its deletions failed.
    if (const auto marked = co_await store.store_flags(drop_.account(), drop_.mailbox(), std::move(request)); !marked) {
      log_.event(log::Level::warning, "marking as seen failed", {{"text", marked.error().text}, {"detail", marked.error().detail}});
    }
  }
  held_.reset();
  log_.event(log::Level::info, "quit", {{"retrieved", retrieved_}, {"deleted", count}});
  append_ok(out(), "goodbye");
  co_return Result<void>{};
}

Result<Maildrop::Message*> Session::message_of(const Command& command) {
  auto* message = drop_.find(command.message.value_or(0));
  if (message == nullptr) return fail(Fault::refused, "no such message");
  return message;
}

net::Task<void> Session::stat(Command&) {
  // RFC 1939 §5: drop listing, "+OK nn mm".
  std::string text;
  append_number(text, drop_.count());
  text += ' ';
  append_number(text, drop_.octets());
  append_ok(out(), text);
  co_return Result<void>{};
}

net::Task<void> Session::list(Command& command) {
  const auto scan_listing = [](std::string& to, std::uint64_t number, std::uint32_t size) {
    append_number(to, number);
    to += ' ';
    append_number(to, size);
  };
  if (command.message) {
    RELAIS_CO_TRY(const auto* message, message_of(command));
    std::string text;
    scan_listing(text, *command.message, message->size);
    append_ok(out(), text);
    co_return Result<void>{};
  }
  std::string text;
  append_number(text, drop_.count());
  append_ok(out(), text.append(" messages"));
  for (std::size_t i = 0; i < drop_.messages().size(); ++i) {
    const auto& message = drop_.messages()[i];
    if (message.deleted) continue;
    scan_listing(out(), i + 1, message.size);
    out() += "\r\n";
    if (large()) RELAIS_CO_TRY_VOID(co_await flush());
  }
  out() += ".\r\n";
  co_return Result<void>{};
}

net::Task<void> Session::dele(Command& command) {
  RELAIS_CO_TRY(auto* message, message_of(command));
  drop_.mark_deleted(*message);
  append_ok(out(), "marked");
  co_return Result<void>{};
}

net::Task<void> Session::rset(Command&) {
  drop_.undelete_all();
  append_ok(out(), "");
  co_return Result<void>{};
}

Server::Server(Services services, Options options) : services_(std::move(services)), options_(options) {
  if (services_.locks == nullptr) services_.locks = std::make_shared<MaildropLocks>();
  if (services_.prefetched == nullptr) services_.prefetched = std::make_shared<std::atomic<std::size_t>>(0);
}

namespace {

net::asio::awaitable<void> serve(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection) {
  Session session(std::move(server), std::move(connection));
  co_await session.run();
}

}  // namespace

net::SessionStarter session_starter(std::shared_ptr<Server> server) {
  return [server = std::move(server)](std::unique_ptr<net::Connection> connection) { return serve(server, std::move(connection)); };
}

}  // namespace relais::pop
