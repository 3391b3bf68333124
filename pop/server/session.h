// One POP3 connection from greeting to QUIT.
#pragma once

#include "base/log.h"
#include "directory/relayed_login.h"
#include "directory/sasl.h"
#include "net/connection.h"
#include "pop/proto/command.h"
#include "pop/proto/line.h"
#include "pop/server/maildrop.h"
#include "pop/server/prefetch.h"
#include "pop/server/server.h"

#include <memory>
#include <optional>
#include <string>

namespace relais::pop {

/// States of RFC 1939 §3. UPDATE is what QUIT does; it takes no commands.
enum class State : std::uint8_t { authorization = 1, transaction = 2, over = 4 };

inline constexpr std::size_t kFlushAt = 64 * 1024;  ///< octets of gathered replies

/// One session. Replies gather in the connection's output and are sent when no whole command is left in the input, so that a pipelining
/// client (RFC 2449 §6.6) gets many with one write; a large reply is sent as it comes.
///
/// Threads: that of the connection's loop.
class Session {
 public:
  Session(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Until the client or a limit ends it. Deletions are committed by QUIT alone (RFC 1939 §6).
  net::asio::awaitable<void> run();

 private:
  struct Row;
  static const Row kCommands[];

  // session.cc
  net::Task<void> one_command();
  net::Task<void> execute(Command& command);
  /// The next line; with `more` never. Drop its octets (`used`) after use. Fault::closed ends the session.
  net::Task<LineFramer::Step> read_line(std::size_t limit);
  net::Task<void> flush();
  /// Whether enough has gathered to be sent before the reply is complete.
  bool large() const noexcept { return connection_->out().size() >= kFlushAt; }
  void protocol_error(const Error& error);
  void end(std::string_view code, std::string_view text);
  void end_after(const Error& closed);
  net::Deadline command_deadline() const;
  std::string& out() noexcept { return connection_->out(); }
  net::Task<void> noop(Command& command);
  net::Task<void> quit(Command& command);
  net::Task<void> stat(Command& command);
  net::Task<void> list(Command& command);
  net::Task<void> dele(Command& command);
  net::Task<void> rset(Command& command);
  net::Task<void> update();
  Result<Maildrop::Message*> message_of(const Command& command);

  // login.cc
  /// Opens the client's session at the platform that has its account.
  net::Task<bool> open_relay(directory::Located who, std::optional<std::string> password);
  net::Task<void> capa(Command& command);
  net::Task<void> user(Command& command);
  net::Task<void> pass(Command& command);
  net::Task<void> auth(Command& command);
  net::Task<void> stls(Command& command);
  net::Task<void> utf8(Command& command);
  net::Task<void> auth_steps(directory::SaslServer& sasl, std::optional<std::string> response);
  /// Sends a challenge and reads the answer; nullopt where the exchange has ended and was answered.
  net::Task<std::optional<std::string>> auth_line(std::string_view challenge);
  void login_failed(const Error& error, std::string_view user);
  net::Task<void> login_succeeded(const directory::Account& account, std::string_view user);
  net::Task<void> open_maildrop(const directory::Account& account);
  /// Who has guessed wrong often waits, whether this guess is right or not. @param waited, @return as net::wait_for_turn()
  net::Task<std::chrono::milliseconds> wait_for_turn(std::string_view user, std::chrono::milliseconds waited);
  std::string login_name(std::string_view user) const { return user.empty() ? std::string() : services().directory->login_name(user); }
  bool encrypted() const noexcept { return connection_->tls() != nullptr; }
  bool plaintext_allowed() const noexcept { return encrypted() || options().allow_plaintext; }

  // retrieve.cc
  net::Task<void> retr(Command& command);
  net::Task<void> top(Command& command);
  net::Task<void> uidl(Command& command);
  net::Task<void> uidl_all();
  net::Task<void> fetch_uidls(const NumberSet& uids, storage::Uid first, storage::FetchBatch& batch);
  /// Sends the message, or with `lines` its header and that many lines.
  net::Task<void> send_message(const Maildrop::Message& message, std::optional<std::uint32_t> lines);
  net::Task<void> send_large(const Maildrop::Message& message, std::optional<std::uint32_t> lines);

  const Options& options() const noexcept { return server_->options(); }
  const Services& services() const noexcept { return server_->services(); }

  const std::shared_ptr<Server> server_;
  const std::unique_ptr<net::Connection> connection_;
  const log::Session log_;
  directory::RelayedLogin login_;
  const net::Deadline login_deadline_;

  State state_ = State::authorization;
  LineFramer framer_;
  std::string user_;   ///< of USER, until PASS
  bool utf8_ = false;  ///< after UTF8 (RFC 6856 §2.1)
  std::uint32_t bad_commands_ = 0;
  std::uint32_t login_failures_ = 0;

  std::unique_ptr<Relay> opened_;  ///< by a login that is not done yet
  std::unique_ptr<Relay> relay_;   ///< after a login elsewhere: what follows is said there

  // in TRANSACTION
  std::optional<MaildropLocks::Held> held_;
  Maildrop drop_;
  Prefetch prefetch_;
  std::uint64_t retrieved_ = 0;  ///< messages, for the log
};

}  // namespace relais::pop
