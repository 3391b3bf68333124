// One connection to another IMAP server: for sources of a migration, for relayed sessions, for checking a password.
#pragma once

#include "base/number_set.h"
#include "directory/legacy.h"
#include "imap/client/receiver.h"
#include "imap/proto/id.h"
#include "imap/proto/response.h"
#include "imap/proto/response_framer.h"
#include "net/connection.h"
#include "net/loop.h"
#include "net/tls.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap {

/// How a client logs in.
struct ClientLogin {
  enum class Way : std::uint8_t {
    plain,    ///< `user` and `password`: AUTHENTICATE PLAIN where offered (with SASL-IR in one round trip), else LOGIN
    login,    ///< LOGIN, whatever is offered beside it; so `plain` does where user or password is no UTF-8 (RFC 4616 §2)
    proxied,  ///< AUTHENTICATE PLAIN with authorization identity `user`, authentication identity `authenticate_as` (RFC 4616 §2)
  };
  Way way = Way::plain;
  std::string user;
  std::string password;  ///< a secret: never in an Error, never in a log
  std::string authenticate_as{};
};

struct ClientTimeouts {
  std::chrono::milliseconds total{30'000};     ///< connect() in all, from TCP to the capabilities after the login, whatever comes meanwhile
  std::chrono::milliseconds connect{10'000};   ///< TCP, per address
  std::chrono::milliseconds greeting{30'000};  ///< a TLS handshake before it has as long
  std::chrono::milliseconds login{30'000};     ///< each step, TLS handshake included
  std::chrono::milliseconds command{120'000};  ///< without an octet of the reply
  std::chrono::milliseconds write{120'000};    ///< of a command without its literals, of each 64 KB of a message
  std::chrono::milliseconds goodbye{5'000};    ///< logout() in all
};

struct ClientOptions {
  directory::LegacyService service;              ///< host, port, TLS
  std::vector<std::string> addresses{};          ///< numeric, in order to try; empty: service.host is one
  std::shared_ptr<const net::TlsContext> tls{};  ///< a verifying one; null: no TLS can be had
  ClientLogin login;
  directory::ForwardAddress forward = directory::ForwardAddress::none;
  std::optional<net::Endpoints> on_behalf_of{};  ///< our client, for `forward`
  std::string session_id{};                      ///< for `forward`: the id under which our log tells of the session
  std::uint8_t proxy_ttl = 5;                    ///< for `forward`: a loop of relays ends
  bool plaintext_allowed = false;                ///< passwords without TLS; for Tls::none
  ClientTimeouts timeouts{};
  ResponseLimits limits{};  ///< after the login; before it 64 KB
  /// What all responses to one command that are kept may take, such as LIST: their octets and 256 for each. Beyond it they are garbage.
  std::size_t answer = 256 * 1024 * 1024;
};

/// What SELECT or EXAMINE found.
struct ClientMailbox {
  bool read_only = false;
  std::uint32_t exists = 0;
  std::uint32_t uid_validity = 0;                  ///< 0: not told
  std::uint32_t uid_next = 0;                      ///< 0: not told
  std::optional<std::uint64_t> highest_mod_seq{};  ///< nullopt: not told, or NOMODSEQ
  std::string mailbox_id{};                        ///< RFC 8474 §4.2
  std::vector<std::string> flags{};
  std::vector<std::string> permanent_flags{};
  NumberSet vanished{};                ///< with QRESYNC: VANISHED (EARLIER)
  std::vector<FetchResult> changed{};  ///< with QRESYNC
};

struct ClientSelect {
  std::string wire_name;  ///< as a LIST had it
  bool examine = true;
  bool condstore = false;
  struct Qresync {
    std::uint32_t uid_validity = 0;
    std::uint64_t mod_seq = 0;
    NumberSet known{};  ///< may be empty: all
  };
  std::optional<Qresync> qresync{};  ///< needs enable("QRESYNC")
};

/// How a command ended that the server answered.
struct ClientReply {
  enum class Status : std::uint8_t { ok, no, bad };
  Status status = Status::ok;
  StatusText text{};
};

/// A NO or BAD as an Error: Fault::refused with the response code, "BAD" for a BAD without one; Fault::temporary for [UNAVAILABLE],
/// [INUSE], [SERVERBUG] (RFC 5530 §3). The server's words are in detail.
Error error_of(std::string_view command, const ClientReply& reply);

/// A session with a server.
///
/// One command at a time; pipeline() sends several at once. Untagged responses that concern no command (EXISTS, EXPUNGE, FETCH of flags, …)
/// go to the listener. Errors of all commands: Fault::closed (the connection is gone or was given up: code "timeout"; "garbage" for
/// responses that cannot be framed or are no answer; "bye", or the BYE's own code; else ""), detail says what was going on; those of
/// error_of() for a NO or BAD; Fault::refused "CANNOT" for octets that IMAP can't carry. A response that cannot be parsed is logged,
/// counted and skipped, where its command can go on; many of them are garbage. list(), lsub(), select() and uid_search() answer as a whole
/// or not at all: Fault::temporary "garbage" where something was skipped meanwhile, the session goes on.
///
/// Memory: the response in work (ResponseLimits), what a command returns (ClientOptions::answer) and 64 KB; no literal above
/// ResponseLimits::inlined is ever held. Threads: its loop's. Lifetime: not destroyed while a command runs (abort() ends it); destroying it
/// closes the connection without a word.
class Client {
 public:
  /// Connects, PROXY header, TLS, greeting, ID with the client's address, login, capabilities after login.
  /// Errors: Fault::temporary for everything short of a clear refusal of the credentials; that is Fault::refused "AUTHENTICATIONFAILED"
  /// (also "AUTHORIZATIONFAILED", "EXPIRED", and a NO to a login without any code, as old servers send it, unless its words speak of
  /// trouble that will pass), all as the answer to the login itself. Codes of temporary ones: "TLS" (detail has the reason),
  /// "PRIVACYREQUIRED", "LIMIT", … where there is one.
  static net::Task<std::unique_ptr<Client>> connect(net::Loop& loop, ClientOptions options);
  /// The same on a connection that there is already (tests).
  static net::Task<std::unique_ptr<Client>> open(std::unique_ptr<net::Connection> connection, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // ---- what it is
  const std::vector<std::string>& capabilities() const noexcept;         ///< after login, upper case
  const std::vector<std::string>& capabilities_before() const noexcept;  ///< the last list before the login
  const std::string& greeting() const noexcept;                          ///< its human text, any octets but CR and LF
  bool has(std::string_view capability) const noexcept;                  ///< upper case
  bool usable() const noexcept;
  net::Connection& connection() noexcept;
  /// The mean time of the last commands that cost the server nothing (NOOP, STATUS), for the governor. 0: none yet.
  std::chrono::microseconds round_trip() const noexcept;
  /// Responses that could not be parsed so far.
  std::uint64_t garbled() const noexcept;
  /// Called on the loop, not during calls of itself; empty: nobody listens.
  void listen(std::function<void(const Response&)> listener);
  /// No wait of any command lasts beyond it; nullopt: none. A freeze sets it.
  void set_deadline(std::optional<net::Deadline> deadline) noexcept;
  /// Closes the connection: what is pending ends with Fault::closed.
  void abort() noexcept;

  // ---- commands
  net::Task<IdFields> id(IdFields ours);
  /// @return what the server has said is on now, of these and others
  net::Task<std::vector<std::string>> enable(std::vector<std::string> extensions);
  net::Task<Namespaces> namespaces();
  struct Listing {
    std::vector<ListedMailbox> mailboxes;
    std::vector<MailboxStatus> status;
  };
  /// @param return_options  "SUBSCRIBED SPECIAL-USE" (LIST-EXTENDED); empty: none
  /// @param status_items  "MESSAGES UIDNEXT": with LIST-STATUS in one command; empty: none. Mailboxes without a status in the answer have
  /// no entry there
  net::Task<Listing> list(std::string reference, std::string pattern, std::string return_options, std::string status_items);
  net::Task<std::vector<ListedMailbox>> lsub(std::string reference, std::string pattern);
  net::Task<MailboxStatus> status(std::string wire_name, std::string items);
  net::Task<ClientMailbox> select(ClientSelect what);
  /// UNSELECT, or where that is not offered EXAMINE of a mailbox that does not exist (RFC 3501 §6.3.1); never CLOSE of a mailbox that was
  /// opened to write.
  net::Task<void> unselect();
  net::Task<void> noop();
  /// @param criteria  "ALL", "UID 7:*": text as it is. Fault::temporary "garbage" also for an OK without any result
  net::Task<NumberSet> uid_search(std::string criteria);
  /// All FETCH responses that come meanwhile go to the receiver, those that were not asked for too. A long set makes several commands.
  /// @param items  with parentheses  @param modifiers "(CHANGEDSINCE 7)" or empty
  net::Task<void> uid_fetch(NumberSet uids, std::string items, std::string modifiers, FetchReceiver& receiver);
  /// @param sequence  the text of a set: "1:*"  @param uid  UID FETCH
  net::Task<void> fetch(bool uid, std::string sequence, std::string items, std::string modifiers, FetchReceiver& receiver);
  /// @param what  "+FLAGS.SILENT (\\Seen)", "(UNCHANGEDSINCE 7) FLAGS ()"  @return what failed an UNCHANGEDSINCE (MODIFIED)
  net::Task<NumberSet> uid_store(NumberSet uids, std::string what);
  net::Task<void> uid_expunge(NumberSet uids);  ///< Fault::refused "CANNOT" without UIDPLUS
  struct Appended {
    std::uint32_t uid_validity = 0;  ///< 0: no APPENDUID came
    NumberSet uids{};
  };
  /// One message of an append(): its octets are asked for in pieces, and must be `size` in all: else the connection is closed, because the
  /// server waits for the rest (Fault::corrupt). So it is where `read` fails.
  struct AppendPiece {
    std::vector<std::string> flags{};
    std::optional<DateTime> date{};
    std::uint64_t size = 0;
    bool binary = false;                                  ///< has NUL octets: literal8 (RFC 3516 §4.4), needs BINARY
    std::function<net::Task<std::string_view>()> read{};  ///< the next piece, valid until it is asked again; empty at the end
  };
  /// With MULTIAPPEND one command, else one each, ended by the first that is refused. Fault::refused TRYCREATE, OVERQUOTA, TOOBIG.
  net::Task<Appended> append(std::string wire_name, std::vector<AppendPiece> messages);
  /// Until the listener has heard something about a mailbox, stop_idle() was called, or the deadline passed (a new IDLE follows before 29
  /// minutes, RFC 9051 §6.3.13). Fault::refused "CANNOT" without IDLE. A graceful stop of the platform ends it: Fault::closed "shutdown".
  net::Task<void> idle(net::Deadline deadline);
  /// Ends an idle() that runs; else nothing.
  void stop_idle() noexcept;
  /// Any other command that needs no literal, or brings them as {n+} where LITERAL+ is offered: its text without tag and CRLF. An Error of
  /// `untagged` comes back when the command has ended. Large literals in its responses are dropped.
  net::Task<ClientReply> command(std::string text, std::function<net::Task<void>(Response)> untagged);
  /// Several commands, as many under way at a time as cannot fill the network's buffers; replies in order. For SELECTs and STATUSes of a
  /// final delta. @param untagged  gets the number of the command that is being answered
  net::Task<std::vector<ClientReply>> pipeline(std::vector<std::string> texts,
                                               std::function<net::Task<void>(std::size_t command, Response)> untagged);
  /// Says goodbye, waits a moment for the answer, closes. Not needed before the destructor, only polite.
  net::asio::awaitable<void> logout();

  /// Gives the connection away, for a relay: no command is outstanding; what the server has sent unasked since is in its buffer. The client
  /// is of no use afterwards.
  std::unique_ptr<net::Connection> release();

  struct Impl;  ///< imap/client/session.h

 private:
  explicit Client(std::unique_ptr<Impl> impl);
  static net::Task<std::unique_ptr<Client>> open_by(std::unique_ptr<net::Connection> connection, ClientOptions options,
                                                    net::Deadline until);
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::imap
