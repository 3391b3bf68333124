// Platforms that accounts are moved away from: what is configured of each, and what an account brings along from there.
#pragma once

#include "base/result.h"
#include "directory/name_view.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

/// One service of a legacy platform.
struct LegacyService {
  enum class Tls : std::uint8_t {
    none = 0,
    starttls = 1,  ///< STARTTLS, STLS: required, a platform that does not offer it is not used
    implicit = 2,  ///< from the first octet on
  };
  std::string host{};  ///< name (A-labels) or address, IPv6 without brackets; empty: the platform has no such service
  std::uint16_t port = 0;
  Tls tls = Tls::none;
  bool verify = true;  ///< TLS: the certificate must be good and for `host`
  bool configured() const noexcept { return !host.empty(); }
  friend bool operator==(const LegacyService&, const LegacyService&) = default;
};
std::string_view to_string(LegacyService::Tls tls) noexcept;

/// How a login without the user's own password is made: the mover's, and that of sessions that have none to show (SCRAM).
struct LegacyMaster {
  enum class Way : std::uint8_t {
    none = 0,
    format = 1,   ///< LOGIN with a user made by `format`: "%u*%m" (Dovecot)
    authzid = 2,  ///< SASL PLAIN: authorization identity the user, authentication identity the master (RFC 4616 §2)
    cyrus = 3,    ///< as authzid; the master is in `proxyservers` or `admins`
  };
  Way way = Way::none;
  std::string user{};      ///< %m
  std::string password{};  ///< a secret: never shown, never logged
  std::string format{};    ///< Way::format: %u the account's user name there, %m the master's
  friend bool operator==(const LegacyMaster&, const LegacyMaster&) = default;
};
std::string_view to_string(LegacyMaster::Way way) noexcept;

/// How the platform learns who our client is. It must trust us for that; where it does not, most servers ignore it and some refuse.
enum class ForwardAddress : std::uint8_t {
  none = 0,
  id = 1,     ///< IMAP ID "x-originating-ip" and its like; POP3 and SMTP XCLIENT
  proxy = 2,  ///< PROXY protocol, version 2, before anything else
};
std::string_view to_string(ForwardAddress forward) noexcept;

/// A platform as `relais legacy add` has it. docs/directory.md has the record.
struct LegacyPlatform {
  std::string name;  ///< 1 to 64 of a-z 0-9 - _ .
  LegacyService imap{};
  LegacyService pop3{};
  LegacyService submission{};      ///< asked for passwords only
  LegacyService delivery{};        ///< where mail for accounts that are still there is sent
  bool delivery_lmtp = false;      ///< by LMTP, else SMTP
  std::string ca_file{};           ///< PEM; empty: the system's authorities
  std::string user_format = "%u";  ///< what the platform calls an account: %u its address, %n the local part, %d the domain
  LegacyMaster master{};
  ForwardAddress forward = ForwardAddress::none;
  bool learn_passwords = false;  ///< of accounts that still live there
  std::int64_t created = 0;      ///< seconds since epoch; set by set_platform()
  friend bool operator==(const LegacyPlatform&, const LegacyPlatform&) = default;
};

/// What is wrong with a platform, or nothing. Errors: Fault::syntax naming the field and what is allowed.
Result<void> check_platform(const LegacyPlatform& platform);

/// "imap.old.example:993", "[2001:db8::1]:143": host in A-labels and port; TLS by the port where `tls` is empty (implicit for 465, 993 and
/// 995, else starttls). A TLS mode may stand behind the port: "127.0.0.1:24,none".
/// @param tls  "none", "starttls", "implicit" or empty
/// Errors: Fault::syntax naming what is wrong.
Result<LegacyService> parse_legacy_service(std::string_view text, std::string_view tls);
/// "[2001:db8::1]:143": without TLS mode. Empty for one that is not configured.
std::string address_text(const LegacyService& service);

/// Replaces %u, %n, %d, %m and %% in a format; other letters stay as they are.
/// @param address  normalised
std::string expand_user(std::string_view format, std::string_view address, std::string_view master = {});

/// Where an account came from, kept until it is settled (the view of names for good).
struct Origin {
  std::string platform{};  ///< name; empty: none, or settled
  std::string user{};      ///< what the platform calls it, where `user_format` does not say; empty: as user_format
  NameView names{};
  friend bool operator==(const Origin&, const Origin&) = default;
};

/// What the platform calls the account with this address.
std::string legacy_user(const LegacyPlatform& platform, const Origin& origin, std::string_view address);

}  // namespace relais::directory
