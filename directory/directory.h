// Domains, accounts, aliases, credentials, and where each account lives.
#pragma once

#include "base/result.h"
#include "directory/account.h"
#include "directory/authenticator.h"
#include "directory/dkim_key.h"
#include "directory/route.h"
#include "net/task.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::directory {

/// What a recipient address means.
struct Recipient {
  enum class Kind : std::uint8_t {
    accounts,   ///< local: deliver to each of `accounts`
    unknown,    ///< our domain, no such user: 550 5.1.1
    disabled,   ///< the account is disabled: 550 5.2.1
    not_local,  ///< not our domain
  };
  Kind kind = Kind::not_local;
  std::vector<Account> accounts;       ///< without duplicates; an alias may name several
  std::vector<std::string> remote;     ///< alias targets outside our domains
  std::string detail;                  ///< the "+tag" of the address, without '+'
};

struct Domain {
  std::string name;       ///< lower-case A-labels
  std::string catch_all;  ///< address, or empty
};

struct Alias {
  std::string address;
  std::vector<std::string> targets;
};

/// How a password came in with `account import`.
struct ImportedAccount {
  std::string address;
  std::string password_hash;  ///< "{SHA512-CRYPT}$6$…", "$6$…", "{PLAIN}…", …; empty: none (directory/password.h lists the schemes)
  std::uint64_t quota_octets = 0;
};

/// The directory. Lookups are asynchronous (a backend may be remote), but complete at once with the lmdb backend; password checks run on
/// the worker pool unless the verified-password cache knows the answer.
///
/// Threads: any; coroutines resume on the caller's executor.
/// Errors: Fault::temporary where the directory cannot be read (never guess then: refuse with the protocol's temporary failure);
///   Fault::refused: no such account/domain (code "NONEXISTENT"), exists already ("ALREADYEXISTS"), wrong password or disabled account
///   ("AUTHENTICATIONFAILED"), a password or hash that can't be taken; Fault::syntax: an address that is none.
class Directory : public Authenticator {
 public:
  // ---- for sessions; logins are in Authenticator
  /// Exact account (together with an alias of its own address that names that address: "deliver and forward"), else alias (followed to its end), else the account or alias before the "+tag", else the domain's catch-all, else unknown.
  /// Local parts are compared without regard to case. "postmaster", also without a domain (RFC 5321 §4.1.1.3), goes to the configured
  /// postmaster where nothing else takes it. Aliases that lead too far (10 deep, 1,000 targets) are Fault::temporary.
  virtual net::Task<Recipient> resolve(std::string address) = 0;
  /// By normalised or raw address; nullopt where there is none.
  virtual net::Task<std::optional<Account>> find(std::string address) = 0;
  virtual net::Task<std::optional<Account>> find_number(AccountNumber account) = 0;
  /// What logins as this user count under: the same for all spellings of an account's name (case, quoting, with or without the default
  /// domain), whether or not it exists. Looks nothing up.
  virtual std::string login_name(std::string_view user) const = 0;
  /// Whether every account that can log in has SCRAM keys: an imported hash has none until its owner's first login with a plain password, an
  /// account on a legacy platform none until its password was learned, and many clients try nothing else once SCRAM was announced. Sessions
  /// announce it through sasl_mechanisms().
  virtual bool scram_ready() const = 0;
  virtual net::Task<bool> is_local_domain(std::string domain) = 0;
  /// Addresses the account may send as: its own (with any "+tag") and those that resolve to it alone.
  virtual net::Task<bool> may_send_as(AccountNumber account, std::string address) = 0;

  // ---- for admins; each change is durable when it returns and seen by the next lookup
  virtual net::Task<void> add_domain(std::string name) = 0;
  virtual net::Task<void> remove_domain(std::string name) = 0;  ///< refused while it has accounts or aliases
  virtual net::Task<std::vector<Domain>> domains() = 0;
  /// Places it by rendezvous hashing over the shards. An empty password: none can log in.
  virtual net::Task<Account> add_account(std::string address, std::string password, std::uint64_t quota_octets) = 0;
  virtual net::Task<Account> import_account(ImportedAccount account) = 0;
  virtual net::Task<std::vector<Account>> accounts(std::string domain) = 0;  ///< empty: all
  virtual net::Task<void> set_password(std::string address, std::string password) = 0;
  virtual net::Task<void> set_enabled(std::string address, bool enabled) = 0;
  virtual net::Task<void> set_quota(std::string address, std::uint64_t octets, std::uint64_t messages) = 0;
  /// Removes it from the directory; its mail is the caller's to remove.
  virtual net::Task<Account> remove_account(std::string address) = 0;
  /// "@domain" as the address makes a catch-all.
  virtual net::Task<void> add_alias(std::string address, std::vector<std::string> targets) = 0;
  virtual net::Task<void> remove_alias(std::string address) = 0;
  virtual net::Task<std::vector<Alias>> aliases(std::string domain) = 0;

  // ---- routes: where mail that leaves is sent. Domains need not be ours.
  /// Adds or replaces the rule of route.domain.
  virtual net::Task<void> set_route(Route route) = 0;
  virtual net::Task<void> remove_route(std::string domain) = 0;
  virtual net::Task<std::vector<Route>> routes() = 0;
  /// The rule for a recipient's domain: its own, else that of the nearest domain above it (".example.org"), else "*", else nullopt: its MX.
  virtual net::Task<std::optional<Route>> route_of(std::string domain) = 0;

  // ---- DKIM keys. Domains need not be ours.
  /// Refused "ALREADYEXISTS" where the domain has that selector. The key's times are set to now where they are 0.
  virtual net::Task<void> add_dkim_key(DkimKey key) = 0;
  virtual net::Task<void> set_dkim_state(std::string domain, std::string selector, DkimKey::State state) = 0;
  virtual net::Task<void> remove_dkim_key(std::string domain, std::string selector) = 0;
  /// Of exactly this domain in whatever state, by selector; empty: of all domains. dkim_sign() picks the active ones.
  virtual net::Task<std::vector<DkimKey>> dkim_keys(std::string domain) = 0;

  // ---- SRS (message/srs.h)
  /// The secrets of forwarded reverse-paths: the first signs, the others are those before it. There is always one.
  virtual net::Task<std::vector<std::string>> srs_secrets() = 0;
  /// Makes a new first one; the two before it stay good, so that bounces under way find back.
  virtual net::Task<void> renew_srs_secret() = 0;
};

}  // namespace relais::directory
