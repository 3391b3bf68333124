// The session loop: read a line, look it up, execute, reply.
#include "smtp/server/session.h"

#include <algorithm>
#include <array>

namespace relais::smtp {
namespace {

constexpr std::size_t kFlushAbove = 64 * 1024;  // octets of replies that may wait for the input to be used up
constexpr auto kFarewell = std::chrono::seconds(5);

constexpr std::uint8_t kAny = Session::kFresh | Session::kGreeted | Session::kMail | Session::kRcpt | Session::kChunks;
constexpr std::uint8_t kIdle = Session::kGreeted;

}  // namespace

struct Session::Rule {
  Handler handler = nullptr;
  std::uint8_t states = kAny;
  std::string_view otherwise{};  ///< text of the 503 in other states
};

// RFC 5321 §4.1.4, RFC 3030 §2 (between chunks only BDAT, RSET, NOOP, QUIT and a new hello), RFC 4954 §4, RFC 3207 §4.
const Session::Rule& Session::rule_of(Verb verb) {
  static constexpr std::array<Rule, kVerbs> kRules{{
      {&Session::helo},
      {&Session::ehlo},
      {&Session::lhlo},
      {&Session::mail, kIdle, "say hello first, and one MAIL at a time"},
      {&Session::rcpt, kMail | kRcpt, "MAIL first"},
      {&Session::data, kMail | kRcpt, "MAIL and RCPT first"},
      {&Session::bdat},  // it has to take the chunk in any state
      {&Session::rset},
      {&Session::noop},
      {&Session::quit},
      {&Session::vrfy, kAny & ~kChunks, "not between chunks"},
      {&Session::expn, kAny & ~kChunks, "not between chunks"},
      {&Session::help, kAny & ~kChunks, "not between chunks"},
      {&Session::starttls, kFresh | kGreeted, "not during a transaction"},
      {&Session::auth, kIdle, "EHLO first, and not during a transaction"},
      {&Session::http},
      {&Session::unknown},
  }};
  return kRules[static_cast<std::size_t>(verb)];
}

Session::Session(ServiceContext& context, std::unique_ptr<net::Connection> connection)
    : context_(context),
      connection_(std::move(connection)),
      log_(to_string(context.options.service), log::new_session_id(), connection_->endpoints().peer_address),
      spool_(context.options.spool_directory) {
  context_.metrics.sessions.add(1);
  context_.metrics.connections.add();
}

Session::~Session() {
  give_back_counts();
  context_.metrics.sessions.add(-1);
}

net::asio::awaitable<void> Session::run() {
  log_.event(log::Level::info, "connect", {{"port", connection_->endpoints().local_port}, {"tls", encrypted()}});
  const auto ended = co_await serve();
  std::string_view reason = "quit";
  if (!ended) {
    const auto& why = ended.error();
    if (why.code == "timeout" || why.code == "shutdown") {
      (void)co_await farewell(why);
      reason = why.code == "timeout" ? "timeout" : "shutdown";
    } else {
      reason = "closed by the client";
    }
  } else if (closing_) {
    reason = line_.empty() ? "closed" : std::string_view(line_);
  }
  connection_->close();
  log_.event(log::Level::info, "disconnect",
             {{"reason", reason}, {"messages", accepted_}, {"transactions", transactions_}, {"errors", errors_}});
}

Session::Done Session::farewell(const Error& why) {
  // RFC 5321 §3.8: 421 before closing.
  const bool timeout = why.code == "timeout";
  reply(421, timeout ? "4.4.2" : "4.3.2", context_.options.hostname + (timeout ? " timeout, closing" : " shutting down, try again later"));
  co_return co_await connection_->flush(net::in(kFarewell));
}

net::Deadline Session::command_deadline() const {
  const auto& timeouts = context_.options.timeouts;
  const bool stranger = state_ == kFresh || (context_.policy.require_auth && !account_);
  return net::in(stranger ? std::min(timeouts.first_command, timeouts.command) : timeouts.command);
}

Session::Done Session::serve() {
  greet();
  auto deadline = command_deadline();
  while (!closing_) {
    const auto step = lines_.feed(connection_->buffered());
    if (step.event == LineFramer::Event::more) {
      connection_->consume(step.used);
      RELAIS_CO_TRY_VOID(co_await flush());
      RELAIS_CO_TRY_VOID(co_await connection_->fill(deadline, net::Awaiting::command));
      continue;
    }
    if (step.event == LineFramer::Event::line) line_.assign(step.line);
    connection_->consume(step.used);
    if (step.event == LineFramer::Event::line) {
      RELAIS_CO_TRY_VOID(co_await execute());
    } else {
      RELAIS_CO_TRY_VOID(co_await on_bad_line(step.event));
    }
    if (errors_ >= context_.options.max_errors && !closing_) close_with("4.7.0", "too many errors");
    if (connection_->out().size() > kFlushAbove) RELAIS_CO_TRY_VOID(co_await flush());
    deadline = command_deadline();
  }
  co_return co_await connection_->flush(net::in(kFarewell));
}

Session::Done Session::flush() {
  if (connection_->out().empty()) co_return Result<void>{};
  co_return co_await connection_->flush(net::in(context_.options.timeouts.reply));
}

void Session::greet() {
  // RFC 5321 §4.2: the greeting names the host; "ESMTP" tells old clients to say EHLO.
  reply(220, {}, context_.options.hostname + (context_.policy.lmtp ? " LMTP Relais" : " ESMTP Relais"));
}

Session::Done Session::on_bad_line(LineFramer::Event event) {
  line_.clear();
  switch (event) {
    case LineFramer::Event::bad: protocol_error(500, "5.5.2", "a line ends with CRLF and holds no CR, LF or NUL"); break;
    case LineFramer::Event::too_long: protocol_error(500, "5.5.2", "line too long"); break;
    default: close_with("4.7.0", "line too long"); break;
  }
  co_return Result<void>{};
}

Session::Done Session::execute() {
  const auto command = parse_command(line_);
  const auto& rule = rule_of(command.verb);
  if ((rule.states & state_) == 0) {
    protocol_error(503, "5.5.1", rule.otherwise);
    co_return Result<void>{};
  }
  if (command.has_arguments && takes_no_argument(command.verb)) {
    protocol_error(501, "5.5.4", "no argument allowed");
    co_return Result<void>{};
  }
  co_return co_await (this->*rule.handler)(command.rest);
}

Session::Done Session::unknown(std::string_view) {
  protocol_error(500, "5.5.1", "command not known");
  co_return Result<void>{};
}

Session::Done Session::http(std::string_view) {
  // A browser made to talk to us by a web page: nothing of what follows may be taken for commands.
  close_with("4.7.0", "this is not a web server");
  co_return Result<void>{};
}

void Session::count_rejection(std::uint16_t code) {
  if (code >= 500) {
    context_.metrics.rejected_permanent.add();
  } else if (code >= 400) {
    context_.metrics.rejected_temporary.add();
  }
}

void Session::reply(std::uint16_t code, std::string_view enhanced, std::string_view text) {
  count_rejection(code);
  append_reply(connection_->out(), code, enhanced, text);
}

void Session::reply(const Reply& answer) {
  count_rejection(answer.code);
  append_reply(connection_->out(), answer);
}

void Session::protocol_error(std::uint16_t code, std::string_view enhanced, std::string_view text) {
  ++errors_;
  if (log::enabled(log::Level::debug)) log_.event(log::Level::debug, "bad command", {{"code", code}, {"text", text}, {"line", line_}});
  reply(code, enhanced, text);
}

void Session::protocol_error(const Error& error) {
  const auto answer = reply_for(error);
  protocol_error(answer.code, answer.enhanced, answer.text);
}

void Session::close_with(std::string_view enhanced, std::string_view text) {
  reply(421, enhanced, context_.options.hostname + " " + std::string(text));
  line_.assign(text);
  closing_ = true;
}

void Session::reset_transaction() {
  give_back_counts();
  transaction_.clear();
  spool_.clear();
  chunk_refused_.reset();
  if (state_ != kFresh) state_ = kGreeted;
}

}  // namespace relais::smtp
