// What an SMTP, submission or LMTP service is made of, and its limits.
#pragma once

#include "antispam/rate_limits.h"
#include "base/clock.h"
#include "directory/directory.h"
#include "directory/legacy_login.h"
#include "net/listener.h"
#include "net/throttle.h"
#include "net/tls.h"
#include "smtp/server/delivery.h"
#include "smtp/server/outgoing.h"
#include "smtp/trace/log.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace relais::smtp {

/// The three services that one session class serves.
enum class Service : std::uint8_t {
  mx,          ///< port 25: mail for local accounts from anybody
  submission,  ///< ports 587 and 465 (RFC 6409, RFC 8314): AUTH first
  lmtp,        ///< port 24 (RFC 2033): one reply per recipient; for trusted neighbours
};

std::string_view to_string(Service service) noexcept;

/// Times after which a client is given up. RFC 5321 §4.5.3.2 names minimums for the receiver: §4.5.3.2.7, 5 minutes between commands. They
/// are the defaults once a client has said who it is; strangers get less.
struct Timeouts {
  std::chrono::seconds command{300};        ///< for a whole command line, however slowly it comes
  std::chrono::seconds first_command{120};  ///< before EHLO, and on submission before a login
  std::chrono::seconds data_block{180};     ///< without a single octet of content: §4.5.3.2.5
  std::chrono::seconds data_total{3'600};   ///< for one message's content; bounds what a client can hold with one octet a minute
  std::chrono::seconds reply{300};          ///< for the client to take our replies
  std::chrono::seconds tls{30};             ///< for a handshake
};

struct Options {
  Service service = Service::mx;
  std::string hostname = "localhost";  ///< in the greeting and in Received
  std::string postmaster;              ///< who gets mail for <Postmaster>; empty: the directory decides
  std::uint64_t max_message_octets = 50ULL * 1024 * 1024;
  std::uint64_t max_discarded_octets = 256ULL * 1024 * 1024;  ///< of content above the limit that is read, to give a proper reply
  std::uint32_t max_recipients = 1'000;                ///< RFC 5321 §4.5.3.1.8: at least 100
  std::uint32_t max_messages = 100'000;                ///< per session; announced as MAILMAX; 0: no limit
  std::uint32_t max_received = 100;                    ///< Received fields that mean a loop (RFC 5321 §6.3: at least 100)
  std::uint32_t max_errors = 20;                       ///< bad commands before 421
  std::uint32_t max_unknown_recipients = 100;          ///< per session, before 421
  std::uint32_t max_auth_failures = 3;                 ///< per session, before 421
  std::string spool_directory = "/tmp";                ///< where large messages are kept while they arrive; best on the storage's file system
  bool allow_plaintext_auth = false;                   ///< AUTH PLAIN and LOGIN without TLS
  std::vector<std::string> relay_from;                 ///< networks ("192.0.2.0/24", "2001:db8::/32", one address) whose clients may send everywhere without login
  std::chrono::seconds max_hold{0};                    ///< FUTURERELEASE, for submission (RFC 4865); 0: not offered
  int max_priority = 0;                                ///< the highest MT-PRIORITY that an account may ask for (RFC 6710)
  std::chrono::milliseconds domain_check{3'000};       ///< how long RCPT waits for the DNS to say whether a domain takes mail
  Timeouts timeouts{};
};

/// What sessions work with. All of it outlives every session.
struct Platform {
  directory::Directory& directory;
  Delivery& delivery;
  storage::Store& store;
  antispam::RateLimits& limits;
  net::Throttle& throttle;
  const Clock& clock = system_clock();
  TraceLog& trace = no_trace();
  const Outgoing* outgoing = nullptr;  ///< null: mail for others is refused
  /// How passwords are checked that only a legacy platform knows; null: the directory alone judges.
  const directory::LegacyLoginParts* legacy_logins = nullptr;
};

/// Makes what a Listener needs. Implicit TLS (465) is the listener's: give it the context there and null here.
///
/// @param tls  offers STARTTLS; null: not offered
net::SessionStarter make_service(Options options, Platform platform, std::shared_ptr<const net::TlsContext> tls);

/// What a listener sends to a connection too many: "421 4.7.0 …" with CRLF.
std::string busy_reply(const Options& options);

}  // namespace relais::smtp
