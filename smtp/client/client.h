// One connection to another SMTP or LMTP server.
#pragma once

#include "net/connection.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/worker_pool.h"
#include "smtp/client/content.h"
#include "smtp/client/outcome.h"
#include "smtp/outbound/tls_policy.h"
#include "smtp/proto/dsn.h"
#include "smtp/proto/mail.h"
#include "smtp/proto/remote_offer.h"
#include "smtp/proto/schedule.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace relais::smtp {

/// How long a host may take. The defaults are the minimums of RFC 5321 §4.5.3.2 where it names one.
struct ClientTimeouts {
  std::chrono::milliseconds connect{30'000};      ///< TCP
  std::chrono::milliseconds greeting{300'000};    ///< §4.5.3.2.1
  std::chrono::milliseconds hello{300'000};       ///< EHLO, HELO, LHLO, XCLIENT, AUTH, RSET
  std::chrono::milliseconds tls{60'000};          ///< a handshake, after the reply to STARTTLS (which has `hello`)
  std::chrono::milliseconds mail{300'000};        ///< §4.5.3.2.2
  std::chrono::milliseconds rcpt{300'000};        ///< §4.5.3.2.3
  std::chrono::milliseconds data{120'000};        ///< §4.5.3.2.4: the 354
  std::chrono::milliseconds data_block{180'000};  ///< §4.5.3.2.5: to take the next piece of content
  std::chrono::milliseconds data_end{600'000};    ///< §4.5.3.2.6: the reply to the final dot or last chunk
  std::chrono::milliseconds quit{5'000};          ///< for the reply to QUIT, which nobody needs
};

struct ConnectOptions {
  std::string host;     ///< name, for SNI, certificates, logs; lower case A-labels
  std::string address;  ///< numeric; what is connected to
  std::uint16_t port = 25;
  std::string source_address{};          ///< numeric, of the address's family; empty: the system's choice
  std::string hello_name = "localhost";  ///< what we call ourselves
  bool lmtp = false;                     ///< RFC 2033
  bool implicit_tls =
      false;  ///< TLS before the greeting (RFC 8314 §3.3); whatever the policy's level: there is no plaintext to fall back to
  TlsPolicy tls{};
  /// Null: TLS can't be started, as if no host offered it. Made by TlsContext::client(ca, true): what is verified the policy says.
  std::shared_ptr<const net::TlsContext> tls_context{};
  /// How we log in at a smarthost: by SCRAM-SHA-256, PLAIN or LOGIN, the first of these that it offers.
  std::optional<Credentials> credentials{};
  bool allow_plaintext_auth = false;  ///< PLAIN and LOGIN without TLS
  std::vector<std::pair<std::string, std::string>>
      xclient{};  ///< sent where the host offers XCLIENT with them: ADDR, PORT, HELO, LOGIN, PROTO, NAME, …
  ClientTimeouts timeouts{};
  net::WorkerPool* workers = nullptr;  ///< for key derivation and conversion of large messages; null: done on the loop
};

struct OutboundRecipient {
  std::string address;  ///< local@domain, quoted where needed
  Notify notify{};
  OriginalRecipient original{};  ///< empty: no ORCPT is sent
};

struct OutboundMessage {
  std::string sender;  ///< without brackets; empty: null reverse-path
  std::vector<OutboundRecipient> recipients;
  ContentSource* content = nullptr;  ///< header and body, lines ending with CRLF (but for binary); outlives send()
  Body body = Body::seven_bit;       ///< what the content is, not what was announced: eight_bit where any octet is above 127
  bool smtputf8 = false;             ///< came with SMTPUTF8
  /// RFC 8689: only to hosts whose TLS was verified and that offer REQUIRETLS, else permanent 5.7.10 or 5.7.30, scope host. With a null
  /// sender it is passed on where it is offered, and asks for nothing (§4.2.1, §5).
  bool require_tls = false;
  Ret ret = Ret::unset;
  std::string envelope_id{};              ///< decoded
  std::optional<DeliverBy> deliver_by{};  ///< seconds from now on
  std::optional<int> priority{};
};

class Client;

/// What came of connecting. Without a client `failure` says why (scope host, never delivered).
struct Connected {
  std::unique_ptr<Client> client;
  Verdict failure{};
  TlsResult tls{};  ///< of this host, whether or not it failed
};

/// A session with a host, ready for messages. One coroutine at a time.
///
/// Threads: those of its loop alone. Lifetime: not destroyed while send() or quit() runs. Destroying it closes the connection.
class Client {
 public:
  /// Connects, reads the greeting, says hello, starts TLS as the policy wants, logs in. With level `may` a failed handshake leads to a
  /// second connection without TLS. Never throws but for no memory.
  static net::asio::awaitable<Connected> connect(net::Loop& loop, ConnectOptions options);
  /// The same on a connection that there is already; no second connection.
  static net::asio::awaitable<Connected> open(std::unique_ptr<net::Connection> connection, ConnectOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends one message to several recipients, in as many transactions as the host's limits ask for (LIMITS RCPTMAX, "452 too many
  /// recipients").
  ///
  /// SMTP: pipelined where offered (RFC 2920); BDAT where offered, else DATA. Content that the host can't take is converted (8BITMIME,
  /// BINARYMIME: RFC 6152 §3, RFC 3030 §3), or the verdict is permanent: 5.6.3 no conversion, 5.6.7 SMTPUTF8 needed, 5.3.4 too
  /// large, 5.7.30 REQUIRETLS. Nothing of a message is sent where all recipients were refused.
  /// @param message outlives the call, its content source too
  net::asio::awaitable<Outcome> send(const OutboundMessage& message);
  /// Would the host take mail from this sender for this recipient? MAIL and RCPT, then RSET; nothing of a message is sent.
  /// @return disposition delivered: it would
  net::asio::awaitable<Verdict> check(std::string sender, std::string recipient, bool smtputf8);
  /// Says goodbye, waits a moment for the answer, closes. Not needed before the destructor, only polite.
  net::asio::awaitable<void> quit();

  bool usable() const noexcept;
  const RemoteOffer& offer() const noexcept;
  const TlsResult& tls() const noexcept;
  const net::Endpoints& endpoints() const noexcept;
  /// Messages sent so far, whatever became of them.
  std::uint32_t messages() const noexcept;

  struct Impl;  ///< smtp/client/session.h

 private:
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::smtp
