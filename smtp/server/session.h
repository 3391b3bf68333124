// An SMTP, submission or LMTP session.
#pragma once

#include "base/log.h"
#include "base/spool.h"
#include "directory/sasl.h"
#include "net/connection.h"
#include "smtp/proto/bdat.h"
#include "smtp/proto/command.h"
#include "smtp/proto/data.h"
#include "smtp/proto/line.h"
#include "smtp/proto/mail.h"
#include "smtp/proto/reply.h"
#include "smtp/server/service.h"
#include "smtp/server/transaction.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::smtp {

/// One client.
///
/// Invariants: replies go to the connection's output in the order of the commands, and are sent when the buffered input is used up
/// (RFC 2920 §3.2) or there are many of them; nothing is accepted before it is durable; a refused message leaves no trace but the log.
/// Threads: that of the connection's loop. The context must outlive it.
class Session {
 public:
  Session(ServiceContext& context, std::unique_ptr<net::Connection> connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// From the greeting to the end. The transport's errors end it silently.
  net::asio::awaitable<void> run();

  /// Where the session is, as bits for the table of commands.
  enum State : std::uint8_t {
    kFresh = 1,  ///< nobody has said hello
    kGreeted = 2,
    kMail = 4,     ///< MAIL was accepted
    kRcpt = 8,     ///< and at least one RCPT
    kChunks = 16,  ///< and at least one BDAT, not the last (RFC 3030 §2)
  };

 private:
  using Done = net::Task<void>;  ///< its only error is Fault::closed: the session is over
  using Handler = Done (Session::*)(std::string_view rest);
  struct Rule;
  static const Rule& rule_of(Verb verb);

  // ---- session.cc
  Done serve();
  Done on_bad_line(LineFramer::Event event);
  Done execute();
  Done farewell(const Error& why);
  Done flush();
  Done unknown(std::string_view rest);
  Done http(std::string_view rest);
  void greet();
  void reply(std::uint16_t code, std::string_view enhanced, std::string_view text);
  void reply(const Reply& answer);
  /// A command that was wrong: counts towards max_errors.
  void protocol_error(std::uint16_t code, std::string_view enhanced, std::string_view text);
  void protocol_error(const Error& error);
  void close_with(std::string_view enhanced, std::string_view text);  ///< 421
  void count_rejection(std::uint16_t code);
  void reset_transaction();
  bool encrypted() const noexcept { return connection_->tls() != nullptr; }
  net::Deadline command_deadline() const;

  // ---- one file per command
  Done helo(std::string_view rest);
  Done ehlo(std::string_view rest);
  Done lhlo(std::string_view rest);
  void hello(std::string_view rest, bool extended);
  Done mail(std::string_view rest);
  MailExtensions mail_extensions() const;
  std::optional<Reply> set_schedule(const MailArgs& args);
  std::optional<Reply> count_message();
  std::optional<Reply> count_recipient(const std::string& address);
  Reply over_limit(const antispam::SendingVerdict& verdict, const std::string& address);
  void give_back_counts();
  Done rcpt(std::string_view rest);
  void recipient_refused(const std::string& address, const Reply& answer);
  net::Task<Reply> add_recipient(AcceptedRecipient recipient);
  void keep_recipient(AcceptedRecipient recipient, std::vector<directory::Account> accounts, std::vector<OnwardTarget> onward);
  net::Task<Reply> check_account(const directory::Account& account);
  net::Task<Reply> check_onward(OnwardTarget& target, const std::string& given);
  Done data(std::string_view rest);
  Done bdat(std::string_view rest);
  Done skip_chunk(std::uint64_t octets);
  net::Task<bool> read_chunk(std::uint64_t octets);
  Done rset(std::string_view rest);
  Done noop(std::string_view rest);
  Done quit(std::string_view rest);
  Done vrfy(std::string_view rest);
  Done expn(std::string_view rest);
  Done help(std::string_view rest);
  Done starttls(std::string_view rest);
  Done auth(std::string_view rest);
  Done auth_steps(directory::SaslServer& sasl, std::optional<std::string> response, std::string_view mechanism);
  net::Task<std::optional<std::string>> auth_line(std::string_view challenge, bool& cancelled);
  /// Who has guessed wrong often waits, whether this guess is right or not. @param waited, @return as net::wait_for_turn()
  net::Task<std::chrono::milliseconds> wait_for_turn(const std::string& name, std::chrono::milliseconds waited);

  // ---- content.cc: what DATA and BDAT share
  void begin_content();
  void take_content(std::string_view octets);
  std::optional<Reply> content_verdict() const;
  Done end_content(std::optional<Reply> verdict);

  // ---- accept.cc: a whole message
  /// A message that has come in, as it goes on from here.
  struct Arrival {
    std::string_view content;        ///< the client's octets in spool_, or `mended`
    std::string mended;
    std::string trace;               ///< our fields in front of it
    std::string message_id;
    std::string author_domain;       ///< of From, where the message was submitted
    std::string repairs;             ///< what was mended in the header, for people
    std::optional<std::string> signatures{};  ///< fields in the name of author_domain; nothing: sign() has not run
    bool eight_bit = false;                   ///< octets above 127
    bool binary = false;                      ///< BODY=BINARYMIME
    bool tls_optional = false;       ///< "TLS-Required: No"
    std::chrono::steady_clock::time_point began;
  };
  Done accept_message();
  std::string trace_fields() const;
  std::string client_name() const;
  void trace_received(const Arrival& arrival);
  void trace_policy(std::string detail);
  net::Task<std::vector<directory::Guest>> enter_accounts(const std::vector<std::uint32_t>& sent);
  net::asio::awaitable<std::vector<Reply>> deliver_each(const std::string& trace, const std::vector<bool>& looping, storage::PreparedPtr message);
  net::asio::awaitable<Reply> deliver_to(std::uint32_t first, std::uint32_t last, const std::string& trace, storage::PreparedPtr message);
  void finish(const std::vector<Reply>& replies, std::uint64_t size, std::chrono::steady_clock::time_point began);

  // ---- submission.cc: what an account sends
  bool may_send_everywhere();
  void note_author(Arrival& arrival) const;
  net::asio::awaitable<std::optional<Reply>> mend(Arrival& arrival);
  net::asio::awaitable<std::optional<Reply>> check_author(const std::string& address, std::string_view field);
  net::Task<Reply> check_domain(const std::string& destination);

  // ---- relay.cc: other hosts, while the client waits
  Relay* relay_to(const std::string& destination);
  net::Task<Reply> ask_relay(OnwardTarget& target);
  bool relayed_in_session() const;
  net::asio::awaitable<std::vector<Reply>> relay_message(Arrival& arrival, const std::vector<bool>& looping);

  // ---- enqueue.cc: everything for the queue
  net::asio::awaitable<std::vector<Reply>> enqueue(Arrival& arrival, const std::vector<bool>& without);
  net::asio::awaitable<void> sign(Arrival& arrival);
  net::asio::awaitable<std::string> forward_fields(const Arrival& arrival, const std::string& signatures, std::uint32_t recipient);
  net::Task<storage::SharedChunks> encode(std::string_view content);
  net::Task<std::vector<queue::NewMessage>> compose(Arrival& arrival, const std::vector<bool>& without);
  net::Task<std::optional<queue::NewMessage>> expanded_notice(const Arrival& arrival, const std::vector<bool>& without);
  void trace_onward(const Arrival& arrival, const std::vector<queue::NewMessage>& messages);

  // Constant after construction.
  ServiceContext& context_;
  const std::unique_ptr<net::Connection> connection_;
  log::Session log_;

  // One thread only.
  std::uint8_t state_ = kFresh;
  bool closing_ = false;
  bool extended_ = false;  ///< EHLO or LHLO, not HELO
  std::string helo_;
  LineFramer lines_;
  std::string line_;              ///< the command being executed; its memory is kept
  MailTransaction transaction_;
  std::optional<directory::Account> account_;  ///< logged in as
  std::uint32_t errors_ = 0;
  std::uint32_t unknown_recipients_ = 0;
  std::uint32_t auth_failures_ = 0;
  std::uint32_t transactions_ = 0;   ///< MAIL commands accepted; numbers the trace ids
  std::uint32_t accepted_ = 0;       ///< messages
  std::optional<bool> trusted_;      ///< the client is in Options::relay_from; not looked at yet
  std::vector<std::pair<std::string, std::unique_ptr<Relay>>> relays_;  ///< by destination

  // The content that is coming in.
  Spool spool_;
  DataFramer framer_;
  LineEnds line_ends_;
  std::uint64_t received_ = 0;  ///< octets of content, those that were thrown away included
  bool too_large_ = false;
  bool bad_line_end_ = false;
  std::optional<Error> spool_error_;
  std::optional<Reply> chunk_refused_;  ///< a chunk was refused: later ones of the message are too (RFC 3030 §2)
  net::Deadline content_deadline_{};
};

}  // namespace relais::smtp
