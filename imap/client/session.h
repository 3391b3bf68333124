// What a Client consists of. Internal to imap/client.
#pragma once

#include "imap/client/client.h"
#include "imap/proto/client_command.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace relais::imap {

/// Who gets the untagged responses of one command. Lives as long as it.
struct ClientTaker {
  /// True: it was for this command. Else it goes to the listener. May be empty.
  std::function<bool(Response&)> take{};
  /// Gets everything instead of `take` and the listener. May be empty.
  std::function<net::Task<void>(Response)> hand_over{};
  FetchReceiver* receiver = nullptr;
  std::size_t gathered = 0;       ///< what has come while there was a `take`, which may have kept it. Octets
  std::optional<Error> failed{};  ///< the first error of receiver or hand_over: they are not called any more
};

/// Invariant: while no command runs, the server has answered everything that it was asked, and the framer is between two responses or in
/// one that is unsolicited.
struct Client::Impl {
  using Milliseconds = std::chrono::milliseconds;
  /// Responses that make no sense, after which there is nothing to be had from a server.
  static constexpr std::uint64_t kMaxGarbled = 1'000;

  Impl(std::unique_ptr<net::Connection> transport, ClientOptions&& chosen)
      : options(std::move(chosen)), connection(std::move(transport)), framer(limits_before_login(options.limits)) {}
  /// Nobody has shown who he is yet.
  static ResponseLimits limits_before_login(ResponseLimits limits) noexcept;

  // ---- session.cc
  /// The next response, the octets of its large literals handed to the taker or dropped. nullopt: woken by a signal.
  /// Errors: as fill(), within a literal the session is gone; "garbage".
  /// @param limit  for each octet to come  @param until  instead of it, but for octets of literals
  net::Task<std::optional<Response>> read(Milliseconds limit, std::optional<net::Deadline> until, net::Awaiting awaiting,
                                          ClientTaker& taker);
  /// The same within a command: no signals; an error has ended the session. @param what  the command, for the error
  net::Task<Response> next(Milliseconds limit, const char* what, ClientTaker& taker);
  net::Task<void> take_literal(Milliseconds limit, ClientTaker& taker);
  net::asio::awaitable<void> untagged(Response response, ClientTaker& taker);
  /// Capabilities, BYE. For every response.
  void note(const Response& response);
  /// Sends what is queued.
  net::Task<void> flush(const char* what);
  /// Sends the pieces of a command and waits for "+" between them; the last one stays queued. @return the reply, where it came before the
  /// last one
  net::Task<std::optional<ClientReply>> send(const char* what, const std::string& tag, ClientCommand& command, Milliseconds limit,
                                             ClientTaker& taker);
  /// Until the tagged reply. @param go_ahead  "+" ends it too, with nullopt
  net::Task<std::optional<ClientReply>> reply(const std::string& tag, bool go_ahead, Milliseconds limit, const char* what,
                                              ClientTaker& taker);
  /// One command from its tag to its reply. @param limit  for each octet to come
  net::Task<ClientReply> run(const char* what, ClientCommand command, ClientTaker& taker, std::optional<Milliseconds> limit = {});
  /// The same where only OK is good: other replies and the taker's error are its errors.
  net::Task<StatusText> ok(const char* what, ClientCommand command, ClientTaker& taker);
  /// The same where the untagged responses are one answer, which is worth nothing with a part missing: Fault::temporary "garbage" where a
  /// response was passed over meanwhile.
  net::Task<StatusText> whole(const char* what, ClientCommand command, ClientTaker& taker);
  /// Closes. @return why no command can be had of it any more
  std::unexpected<Error> lost(const char* what, const Error& why);
  /// An empty command, with the literals that the server takes.
  ClientCommand command() const;
  net::Deadline by(Milliseconds limit) const;
  std::string next_tag() { return "r" + std::to_string(++tags); }
  bool has(std::string_view capability) const noexcept;

  // ---- commands.cc
  void measured(std::chrono::steady_clock::duration took);

  // ---- connect.cc
  /// From the first octet to the capabilities after the login, until then. Wipes the password.
  net::Task<void> begin(net::Deadline until);
  net::Task<void> establish();
  net::Task<void> handshake();
  net::Task<void> read_greeting();
  net::Task<void> start_tls();
  net::Task<void> ask_capabilities(Milliseconds limit);
  net::Task<void> announce_client();

  // ---- login.cc
  net::Task<void> log_in();
  net::Task<ClientReply> log_in_plain(const std::string& authorization, const std::string& authentication);
  net::Task<ClientReply> log_in_by_login();
  /// Sends what is queued and these octets behind it, of which nothing is kept. @param line  CRLF follows
  net::Task<void> send_secret(std::string_view octets, bool line, const char* what);

  // ---- append.cc
  /// One APPEND. @return as run()
  net::Task<ClientReply> append(const std::string& wire_name, std::span<AppendPiece> messages);
  net::Task<void> send_content(AppendPiece& message);

  // ---- idle.cc
  /// One IDLE, ended at `until`, by a signal or by something heard.
  net::Task<void> idle_once(net::Deadline until, bool& heard);

  // Constant after construction.
  ClientOptions options;
  std::unique_ptr<net::Connection> connection;  ///< null after release()

  ResponseFramer framer;
  std::vector<std::string> capabilities;
  std::vector<std::string> capabilities_before;
  bool capabilities_known = false;  ///< told since the last change that makes them void
  std::string greeting;
  std::function<void(const Response&)> listener;
  std::optional<net::Deadline> deadline;
  std::optional<net::Deadline> end_of_phase;  ///< of the beginning or the goodbye, however many octets come
  bool credentials_refused = false;           ///< by the answer to the login
  std::uint64_t tags = 0;
  std::uint64_t garbled = 0;
  std::chrono::microseconds round_trip{0};
  bool busy = false;
  bool gone = false;              ///< no command can follow
  std::optional<StatusText> bye;  ///< the server's goodbye
  bool leaving = false;           ///< LOGOUT was sent: BYE is the answer
  bool idling = false;
  bool stop_idling = false;
};

/// Marks the session as busy with a command. Two at a time are our bug.
class ClientBusy {
 public:
  explicit ClientBusy(Client::Impl& session);
  ~ClientBusy() { session_.busy = false; }
  ClientBusy(const ClientBusy&) = delete;
  ClientBusy& operator=(const ClientBusy&) = delete;

 private:
  Client::Impl& session_;
};

}  // namespace relais::imap
