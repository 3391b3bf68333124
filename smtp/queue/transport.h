// The way out of the queue, as the scheduler sees it: one interface for real servers, mailboxes, and a test's own world.
#pragma once

#include "net/loop.h"
#include "net/task.h"
#include "smtp/queue/message.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp::queue {

/// The octets of a queued message, read from the store in pieces. Threads: one at a time, on a Loop. Lives as long as the Dispatch it is
/// part of.
class Content {
 public:
  virtual ~Content() = default;
  virtual std::uint64_t size() const noexcept = 0;
  /// Appends [offset, offset + length) to `into`, less at the end. Errors: as Engine::read_blob().
  virtual net::Task<void> read(std::uint64_t offset, std::uint64_t length, std::string& into) = 0;
};

/// One recipient of a Dispatch.
struct DispatchRecipient {
  std::uint32_t number = 0;  ///< names it within the message
  std::string address;
  std::string given;  ///< as in RCPT, where it differs
  OriginalRecipient original;
  Notify notify;
  std::uint32_t turns = 0;  ///< how often it was sent elsewhere (Disposition::elsewhere)
};

/// One message for the open recipients of one destination.
struct Dispatch {
  std::uint64_t id = 0;
  std::string trace_id;
  std::string sender;
  std::vector<DispatchRecipient> recipients;
  bool eight_bit = false;
  bool binary = false;
  bool smtputf8 = false;
  bool require_tls = false;
  bool optional_tls = false;
  bool report = false;
  Ret ret = Ret::unset;
  std::string envelope_id;
  int priority = 0;
  std::int64_t deliver_by = 0;
  ByMode by_mode = ByMode::none;
  bool by_trace = false;
  std::int64_t arrival = 0;
  std::uint32_t attempts = 0;  ///< before this one
  std::shared_ptr<Content> content;
};

/// What became of a recipient in one attempt.
enum class Disposition : std::uint8_t {
  relayed,              ///< another host took it, and will see to notices (it offered DSN), or none were wanted
  relayed_without_dsn,  ///< another host took it that knows nothing of DSN: where NOTIFY=SUCCESS, a "relayed" report is due (RFC 3461
                        ///< §5.2.2)
  delivered,            ///< in a mailbox; where NOTIFY=SUCCESS, a "delivered" report is due
  temporary,            ///< not now
  permanent,            ///< never: a failure report is due
  elsewhere,            ///< it belongs to other destinations: RecipientOutcome::moves
};

/// Where a recipient goes on.
struct Move {
  std::string address;
  std::string destination;
};

struct RecipientOutcome {
  Disposition disposition = Disposition::temporary;
  std::uint16_t code = 0;     ///< of the reply; 0: there was none
  std::string status;         ///< enhanced status, "4.4.1"; empty: from the code
  std::string text;           ///< one line: the remote's reply as it came ("550 5.1.1 no such user"), or our words
  std::string host;           ///< "mx.example [192.0.2.1]:25"; empty: none was reached
  bool remote = false;        ///< text is the remote's (Diagnostic-Code: smtp)
  std::vector<Move> moves{};  ///< of Disposition::elsewhere
};

/// What an attempt tells of the destination as a whole.
enum class Health : std::uint8_t {
  good,         ///< it answers; what failed concerns this message
  busy,         ///< 421, a timeout, or a connection lost, after it had taken us in: fewer connections, please
  unreachable,  ///< no host could be reached, or all refused us in the greeting: nothing more for a while
};

struct Outcome {
  std::vector<RecipientOutcome> recipients;  ///< one per Dispatch::recipients, in their order
  Health health = Health::good;
  bool by_dropped =
      false;  ///< DELIVERBY was asked for and not passed on to who took the message: a "relayed" report is due (RFC 2852 §4.1.4.2)
  std::string trouble{};  ///< where health is not good: one line for people
  bool open = true;       ///< the lane takes another message
  bool begun = true;      ///< a host was there to be told of the message; false: no connection came about
  /// Delivery ids to forget once the outcome is durable (local mailboxes): account and shard.
  struct Once {
    std::uint64_t account = 0;
    std::uint16_t shard = 0;
  };
  std::vector<Once> once{};
};

/// A series of deliveries to one destination, one at a time: a connection, opened when it is first needed. Lives on one Loop.
class Lane {
 public:
  virtual ~Lane() = default;
  /// Never fails: what goes wrong is an Outcome. The Dispatch lives until it returns.
  virtual net::asio::awaitable<Outcome> send(const Dispatch& dispatch) = 0;
  /// Ends politely (QUIT). Called once, before the Lane is destroyed.
  virtual net::asio::awaitable<void> close() = 0;
};

/// Makes lanes. Threads: any.
class Transport {
 public:
  virtual ~Transport() = default;
  /// @param destination as in NewRecipient::destination   @param loop  where the lane will be used
  virtual std::unique_ptr<Lane> lane(const std::string& destination, net::Loop& loop) = 0;
};

/// Says where mail for an address goes. Threads: any loop's.
class Router {
 public:
  virtual ~Router() = default;
  /// The destination of an address as it is at this moment: local, an account in cutover, a legacy platform, a route, or the domain's MX.
  /// Errors: Fault::temporary where the directory cannot tell; Fault::refused where the address can never be sent to.
  virtual net::Task<std::string> destination(std::string address) = 0;
};

}  // namespace relais::smtp::queue
