// One IMAP session: reads commands, executes them in order, sends the replies.
#pragma once

#include "base/log.h"
#include "directory/name_view.h"
#include "imap/proto/command.h"
#include "imap/proto/framer.h"
#include "imap/relay/relay.h"
#include "imap/server/selected.h"
#include "imap/server/server.h"
#include "net/connection.h"

#include <cstdint>
#include <memory>
#include <string>

namespace relais::imap {

/// RFC 9051 §3, as bits for the command table.
enum class State : std::uint8_t { not_authenticated = 1, authenticated = 2, selected = 4, logout = 8 };

/// What the client has switched on. CONDSTORE and QRESYNC: RFC 7162; rev2: ENABLE IMAP4rev2; utf8: UTF8=ACCEPT (RFC 6855).
struct Enabled {
  bool condstore = false;
  bool qresync = false;
  bool rev2 = false;
  bool utf8_accept = false;
};

/// How a command ended well: the tag is answered with "OK" and this text, a response code in front where there is one.
struct Done {
  std::string text;
  bool later = false;  ///< no tagged reply yet: IDLE waits for DONE
};

/// One connection's session.
///
/// Commands run one at a time, in order (RFC 9051 §5.5 allows it), so sequence numbers are valid for exactly one command. Replies gather
/// in the connection's output and are sent when nothing more is buffered from the client or kFlushAt is reached; a client that does not
/// read stops its own session there, with at most about 1 MB pending.
///
/// Memory: while it waits for a command only this object, the frame of serve() and that of Connection::fill() exist; what a command needs
/// lives in its own coroutines, which are gone by then.
///
/// Threads: that of the connection's loop. Lifetime: a local of serve().
class Session {
 public:
  static constexpr std::size_t kFlushAt = 96 * 1024;  ///< octets of output

  /// Runs a whole session. Never throws but for a bug or lack of memory.
  static net::asio::awaitable<void> serve(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection);

  Session(std::shared_ptr<Server> server, std::unique_ptr<net::Connection> connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Server& server() const noexcept { return *server_; }
  storage::Store& store() const noexcept { return server_->store(); }
  net::Connection& connection() noexcept { return *connection_; }
  std::string& out() noexcept { return connection_->out(); }
  const log::Session& log() const noexcept { return log_; }
  Framer& framer() noexcept { return framer_; }

  State state() const noexcept { return state_; }
  const storage::AccountRef& account() const noexcept { return account_; }
  Enabled& enabled() noexcept { return enabled_; }
  /// A CONDSTORE enabling command came (RFC 7162 §3.1).
  void enable_condstore();
  Dialect dialect() const noexcept {
    const bool utf8 = enabled_.rev2 || enabled_.utf8_accept;
    if (!names_) return {.utf8 = utf8};
    return {.utf8 = utf8, .separator = names_->separator, .any_names = true};
  }
  /// How the account's client knows its mailboxes; null where as the storage does. Everything that names a mailbox on the wire goes through
  /// these two.
  const directory::NameView* names() const noexcept { return names_.get(); }
  /// The storage's name of a mailbox that the client has named. Errors: Fault::refused "CANNOT" for a name that no mailbox can have in the
  /// account's view.
  Result<std::string> stored_name(std::string shown) const;
  /// The client's name of a mailbox: the storage's own where there is no view, else made in `buffer`.
  std::string_view shown_name(const std::string& stored, std::string& buffer) const;
  bool encrypted() const noexcept { return connection_->tls() != nullptr; }
  /// LOGIN and PLAIN may be used here and now.
  bool plaintext_allowed() const noexcept { return encrypted() || server_->options().allow_plaintext; }

  // ---- state changes
  /// Errors: Fault::refused [LIMIT] where the account has too many connections.
  Result<void> login(storage::AccountRef account, const directory::NameView& names);
  /// The account lives elsewhere: once the reply is sent the session goes on there. Errors: as login().
  Result<void> hand_over(storage::AccountRef account, std::unique_ptr<Relay> relay);
  /// It was handed over, and the account lives here by now: as after its login. @param idle_tag  of the IDLE in progress
  void go_on(storage::AccountRef account, const directory::NameView& names, std::string idle_tag);
  void logout() noexcept { state_ = State::logout; }
  /// Null unless State::selected.
  Selected* selected() noexcept { return selected_.get(); }
  /// Starts to listen for changes of any mailbox: before opening one.
  void listen();
  void select(std::unique_ptr<Selected> selected);
  void unselect();
  /// A STARTTLS succeeded: all that the client said before is forgotten (RFC 9051 §6.2.1).
  void forget_client();
  /// IDLE begins: answered at DONE.
  void idle(std::string tag);

  // ---- output
  /// Sends what is pending.
  net::Task<void> flush();
  /// Sends it where it is more than `limit` octets.
  net::Task<void> flush_over(std::size_t limit = kFlushAt);
  /// True where flush_over() would send: saves the coroutine.
  bool full(std::size_t limit = kFlushAt) const noexcept { return connection_->out().size() >= limit; }
  /// Lets other sessions of the loop run.
  net::asio::awaitable<void> yield();

  // ---- input, for commands that read on
  /// Octets that a command took from the connection past the framer, for the metrics.
  void count_input(std::size_t octets) noexcept;
  /// The next event of the framer that is not for here: `command`, `message` or `refused`. Sends pending output before it waits, and
  /// "+" at go_ahead. Errors: Fault::closed, also where the framer is broken.
  net::Task<Framer::Event> next_event(net::Deadline deadline);
  /// The command that executes came with a message announced (an APPEND, see Framer).
  bool message_announced() const noexcept { return announced_; }
  /// At `message`: does not take it, reads on to the end of the command where its octets come all the same. @return what to reply
  net::asio::awaitable<Error> refuse_message(Error error);
  /// One line that answers a "+". Errors: Fault::syntax, Fault::closed.
  net::Task<std::string> read_line();
  /// When a client that is in the middle of something must have gone on.
  net::Deadline deadline() const noexcept { return deadline_; }

  // ---- the selected mailbox
  /// Tells the client what happened to the selected mailbox since it was last told.
  /// @param expunges  EXPUNGE and VANISHED may be sent now (RFC 9051 §7.5.1: not by FETCH, STORE and SEARCH)
  net::Task<void> sync(bool expunges);
  bool has_news(bool expunges) const noexcept;
  /// Appends "* n EXISTS", and what belongs to it.
  void append_exists();
  /// Appends FLAGS and PERMANENTFLAGS.
  void append_flag_lists();
  /// Appends "* n FETCH (UID u FLAGS (…) MODSEQ (m))", the latter with CONDSTORE.
  void append_flags_response(const storage::FlagChange& change, FlagsWriter& writer);
  /// The session's own STORE: its keywords are told, its mod-sequences need not be told again.
  /// @param told  the command tells the flags afterwards; if not (.SILENT), another session's change just before it must still be told
  void own_flag_changes(const storage::StoreFlagsResult& stored, bool told);
  /// With QRESYNC: how far the client may count on what it has, where that is not all.
  void append_safe_mod_seq();
  /// Sends EXPUNGE or VANISHED for what is gone, and forgets it.
  net::Task<void> send_expunges();

 private:
  void greet();
  /// Until the client leaves, or the account comes here. @return whether to go on here
  net::asio::awaitable<bool> serve_elsewhere();
  Framer::Event take();
  net::Task<void> handle(Framer::Event event);
  net::Task<void> execute(Framer::Event event);
  void reply_unread(Framer::Event event, const Error& error);
  void end_idle();
  void reply_error(std::string_view tag, const Error& error);
  void count_bad();
  void say_bye(const Error& error);
  bool idling() const noexcept { return !idle_tag_.empty(); }
  bool wants_push() const noexcept { return idling() && selected_ != nullptr; }
  void mailbox_gone();

  std::shared_ptr<Server> server_;
  std::unique_ptr<net::Connection> connection_;
  Framer framer_;
  log::Session log_;
  net::Deadline deadline_;
  storage::AccountRef account_;
  std::unique_ptr<const directory::NameView> names_;  ///< null: our own
  State state_ = State::not_authenticated;
  Enabled enabled_;
  bool announced_ = false;
  std::uint16_t bad_commands_ = 0;
  std::string idle_tag_;          ///< of the IDLE in progress; empty: none
  std::unique_ptr<Relay> relay_;  ///< after hand_over()
  std::unique_ptr<Selected> selected_;
  std::shared_ptr<Watch> watch_;                         ///< from the first SELECT on
  std::unique_ptr<storage::Subscription> subscription_;  ///< feeds watch_
};

}  // namespace relais::imap
