// The Directory interface over LMDB: look-ups inline, changes on a worker, logins through the verifier.
#include "directory/lmdb_directory.h"

#include "base/ascii.h"
#include "base/log.h"
#include "directory/changes.h"
#include "directory/digest.h"
#include "directory/hash_upgrader.h"
#include "directory/lookup.h"
#include "directory/move_changes.h"
#include "directory/outbound.h"
#include "directory/scram_count.h"
#include "directory/verifier.h"
#include "message/address.h"

#include <mutex>
#include <type_traits>

namespace relais::directory {
namespace {

std::unexpected<Error> authentication_failed() { return fail(Fault::refused, "authentication failed", "AUTHENTICATIONFAILED"); }

/// A look-up that could not be made is never an answer: the peer is asked to try again.
Error as_temporary(Error error) {
  if (error.fault == Fault::corrupt) {
    log::event(log::Level::error, "directory-damaged", {{"detail", error.detail}});
  }
  return error;
}

/// How long a learned password is remembered: while it is, another login with it costs neither a hash nor a queue.
constexpr auto kRememberLearned = std::chrono::hours(24);

class LmdbDirectory final : public MovingDirectory {
 public:
  LmdbDirectory(net::WorkerPool& workers, std::unique_ptr<LmdbEnv> env, LmdbDirectoryOptions options, ResolveRules rules,
                std::string secret)
      : workers_(workers),
        env_(std::move(env)),
        options_(std::move(options)),
        rules_(std::move(rules)),
        secret_(std::move(secret)),
        cache_(options_.max_remembered, options_.remember_logins, *options_.clock),
        learned_(options_.max_remembered, kRememberLearned, *options_.clock),
        upgrader_([this](const HashUpgrade& job) { job.why == HashUpgrade::Why::learned ? learn_hash(job) : upgrade_hash(job); }),
        verifier_(
            workers, cache_, options_.cost,
            [this](AccountNumber number) { return env_->read([&](const Txn& txn) { return find_credential(txn, number); }); },
            [this](Secret who, const Credential& credential, std::string_view password) { verified(who, credential, password); }) {}

  // ---- for sessions
  net::Task<Recipient> resolve(std::string address) override {
    // RFC 5321 §4.1.1.3: "Postmaster" needs no domain.
    if (iequals(address, "postmaster")) {
      if (!options_.default_domain.empty())
        address.append("@").append(options_.default_domain);
      else if (rules_.postmaster)
        address = rules_.postmaster->text();
    }
    RELAIS_CO_TRY(const auto name, parse_name(address));
    co_return read([&](const Txn& txn) { return resolve_name(txn, rules_, name); });
  }

  net::Task<std::optional<Account>> find(std::string address) override {
    const auto name = parse_name(address);
    if (!name) co_return std::optional<Account>{};
    RELAIS_CO_TRY(auto record, read([&](const Txn& txn) { return find_account(txn, *name); }));
    co_return account_of(std::move(record));
  }

  net::Task<std::optional<Account>> find_number(AccountNumber number) override {
    RELAIS_CO_TRY(auto record, read([&](const Txn& txn) { return find_account(txn, number); }));
    co_return account_of(std::move(record));
  }

  net::Task<Login> authenticate(std::string user, std::string password) override {
    const Wiper wiper(password);
    if (!check_password(password)) co_return authentication_failed();
    RELAIS_CO_TRY(auto record, find_user(user));
    if (!record || !record->account.has_password) {
      RELAIS_CO_TRY_VOID(co_await verifier_.check_nothing(password));
      co_return authentication_failed();
    }
    // Nothing has happened since the record was read, so it is what counts.
    if (verifier_.remembers(Secret{record->account.number, record->generation}, password)) {
      if (!record->account.enabled) co_return authentication_failed();
      co_return login_of(std::move(record->account));
    }
    RELAIS_CO_TRY(const bool fits, co_await verifier_.check(Secret{record->account.number, record->generation}, password));
    if (!fits) co_return authentication_failed();
    co_return still_valid(record->account.number, record->generation);
  }

  std::string login_name(std::string_view user) const override {
    const auto name = parse_user(user, options_.default_domain);
    return name ? name->text() : to_lower(user);
  }

  net::Task<ScramKeys> scram_keys(std::string user) override {
    RELAIS_CO_TRY(const auto record, find_user(user));
    if (record && record->account.has_password) {
      const auto number = record->account.number;
      RELAIS_CO_TRY(auto credential, read([&](const Txn& txn) { return find_credential(txn, number); }));
      if (credential.scram.iterations != 0) {
        credential.scram.generation = record->generation;
        co_return std::move(credential.scram);
      }
    }
    co_return made_up_keys(user);
  }

  net::Task<Login> login_verified(std::string user, std::uint64_t generation) override {
    RELAIS_CO_TRY(const auto record, find_user(user));
    if (!record) co_return authentication_failed();
    co_return still_valid(record->account.number, generation);
  }

  bool scram_ready() const override {
    if (options_.always_offer_scram) return true;
    const auto without = env_->read([](const Txn& txn) { return accounts_without_scram(txn); });
    return without && *without == 0;
  }

  net::Task<bool> is_local_domain(std::string domain) override {
    const auto name = message::to_ascii_domain(domain);
    if (!name) co_return false;
    co_return read([&](const Txn& txn) { return has_domain(txn, *name); });
  }

  net::Task<bool> may_send_as(AccountNumber account, std::string address) override {
    const auto name = parse_name(address);
    if (!name) co_return false;
    co_return read([&](const Txn& txn) { return is_name_of(txn, rules_, *name, account); });
  }

  // ---- for admins
  net::Task<void> add_domain(std::string name) override {
    RELAIS_CO_TRY(auto domain, message::to_ascii_domain(name));
    co_return co_await change(
        [domain = std::move(domain), now = options_.clock->seconds()](Txn& txn) { return directory::add_domain(txn, domain, now); });
  }

  net::Task<void> remove_domain(std::string name) override {
    RELAIS_CO_TRY(auto domain, message::to_ascii_domain(name));
    co_return co_await change([domain = std::move(domain)](Txn& txn) { return directory::remove_domain(txn, domain); });
  }

  net::Task<std::vector<Domain>> domains() override {
    co_return read([](const Txn& txn) { return directory::domains(txn); });
  }

  net::Task<Account> add_account(std::string address, std::string password, std::uint64_t quota_octets) override {
    const Wiper wiper(password);
    RELAIS_CO_TRY(auto name, parse_name(address));
    if (!password.empty()) RELAIS_CO_TRY_VOID(check_password(password));
    auto job = [this, name = std::move(name), password, quota_octets]() mutable -> Result<Account> {
      const Wiper wipe_copy(password);
      Credential credential;
      if (!password.empty()) {
        RELAIS_TRY(auto made, new_credential(password, options_.cost));
        credential = std::move(made);
      }
      return create(name, credential, quota_octets);
    };
    co_return co_await workers_.run(std::move(job));
  }

  net::Task<Account> import_account(ImportedAccount account) override {
    RELAIS_CO_TRY(auto name, parse_name(account.address));
    Credential credential;
    if (!account.password_hash.empty()) {
      RELAIS_CO_TRY(auto imported, import_credential(account.password_hash));
      credential = std::move(imported);
    }
    auto job = [this, name = std::move(name), credential = std::move(credential), quota = account.quota_octets] {
      return create(name, credential, quota);
    };
    co_return co_await workers_.run(std::move(job));
  }

  net::Task<std::vector<Account>> accounts(std::string domain) override {
    std::string prefix;
    if (!domain.empty()) {
      RELAIS_CO_TRY(const auto name, message::to_ascii_domain(domain));
      prefix = domain_prefix(name);
    }
    co_return read([&](const Txn& txn) { return directory::accounts(txn, prefix); });
  }

  net::Task<void> set_password(std::string address, std::string password) override {
    const Wiper wiper(password);
    RELAIS_CO_TRY(auto name, parse_name(address));
    RELAIS_CO_TRY_VOID(check_password(password));
    auto job = [this, name = std::move(name), password]() mutable -> Result<void> {
      const Wiper wipe_copy(password);
      RELAIS_TRY(const auto credential, new_credential(password, options_.cost));
      return env_->write([&](Txn& txn) { return directory::set_credential(txn, name, credential); });
    };
    co_return co_await workers_.run(std::move(job));
  }

  net::Task<void> set_enabled(std::string address, bool enabled) override {
    co_return co_await change_account(std::move(address), [enabled](AccountRecord& record) { record.account.enabled = enabled; });
  }

  net::Task<void> set_quota(std::string address, std::uint64_t octets, std::uint64_t messages) override {
    co_return co_await change_account(std::move(address), [octets, messages](AccountRecord& record) {
      record.account.quota_octets = octets;
      record.account.quota_messages = messages;
    });
  }

  net::Task<Account> remove_account(std::string address) override {
    RELAIS_CO_TRY(auto name, parse_name(address));
    co_return co_await change([name = std::move(name)](Txn& txn) { return directory::remove_account(txn, name); });
  }

  net::Task<void> add_alias(std::string address, std::vector<std::string> targets) override {
    RELAIS_CO_TRY(auto name, parse_alias_name(address));
    RELAIS_CO_TRY(auto checked, check_targets(targets));
    co_return co_await change(
        [name = std::move(name), checked = std::move(checked)](Txn& txn) { return directory::add_alias(txn, name, checked); });
  }

  net::Task<void> remove_alias(std::string address) override {
    RELAIS_CO_TRY(auto name, parse_alias_name(address));
    co_return co_await change([name = std::move(name)](Txn& txn) { return directory::remove_alias(txn, name); });
  }

  net::Task<std::vector<Alias>> aliases(std::string domain) override {
    std::string prefix;
    if (!domain.empty()) {
      RELAIS_CO_TRY(const auto name, message::to_ascii_domain(domain));
      prefix = domain_prefix(name);
    }
    co_return read([&](const Txn& txn) { return directory::aliases(txn, prefix); });
  }

  // ---- routes
  net::Task<void> set_route(Route route) override {
    route.created = options_.clock->seconds();
    co_return co_await change([route = std::move(route)](Txn& txn) { return directory::set_route(txn, route); });
  }

  net::Task<void> remove_route(std::string domain) override {
    RELAIS_CO_TRY(auto route, parse_route(domain, "mx", "", ""));  // spells the domain as it is kept
    co_return co_await change([domain = std::move(route.domain)](Txn& txn) { return directory::remove_route(txn, domain); });
  }

  net::Task<std::vector<Route>> routes() override {
    co_return read([](const Txn& txn) { return directory::routes(txn); });
  }

  net::Task<std::optional<Route>> route_of(std::string domain) override {
    if (auto name = message::to_ascii_domain(domain)) domain = *std::move(name);
    co_return read([&](const Txn& txn) { return find_route(txn, domain); });
  }

  // ---- DKIM keys
  net::Task<void> add_dkim_key(DkimKey key) override {
    const Wiper wiper(key.private_key);
    RELAIS_CO_TRY_VOID(normalise(key.domain, key.selector));
    if (key.private_key.empty()) co_return fail(Fault::refused, "a DKIM key needs a private key");
    const auto now = options_.clock->seconds();
    if (key.created == 0) key.created = now;
    if (key.changed == 0) key.changed = now;
    co_return co_await change([key](Txn& txn) { return directory::add_dkim_key(txn, key); });
  }

  net::Task<void> set_dkim_state(std::string domain, std::string selector, DkimKey::State state) override {
    RELAIS_CO_TRY_VOID(normalise(domain, selector));
    auto body = [domain = std::move(domain), selector = std::move(selector), state, now = options_.clock->seconds()](Txn& txn) {
      return directory::set_dkim_state(txn, domain, selector, state, now);
    };
    co_return co_await change(std::move(body));
  }

  net::Task<void> remove_dkim_key(std::string domain, std::string selector) override {
    RELAIS_CO_TRY_VOID(normalise(domain, selector));
    auto body = [domain = std::move(domain), selector = std::move(selector)](Txn& txn) { return directory::remove_dkim_key(txn, domain, selector); };
    co_return co_await change(std::move(body));
  }

  net::Task<std::vector<DkimKey>> dkim_keys(std::string domain) override {
    if (!domain.empty()) {
      auto name = message::to_ascii_domain(domain);
      if (!name) co_return std::vector<DkimKey>{};  // an address literal, or nothing that could have a key
      domain = *std::move(name);
    }
    co_return read([&](const Txn& txn) { return directory::dkim_keys(txn, domain); });
  }

  // ---- SRS
  net::Task<std::vector<std::string>> srs_secrets() override {
    co_return read([](const Txn& txn) { return directory::srs_secrets(txn); });
  }

  net::Task<void> renew_srs_secret() override {
    co_return co_await change([](Txn& txn) { return directory::renew_srs_secret(txn); });
  }

  // ---- moves
  net::Task<void> set_platform(LegacyPlatform platform) override {
    const Wiper wiper(platform.master.password);
    RELAIS_CO_TRY_VOID(check_platform(platform));
    platform.created = options_.clock->seconds();
    auto name = platform.name;
    RELAIS_CO_TRY_VOID(co_await change([platform](Txn& txn) { return directory::set_platform(txn, platform); }));
    co_return platform_changed(name);
  }

  net::Task<void> remove_platform(std::string name) override {
    RELAIS_CO_TRY_VOID(co_await change([name](Txn& txn) { return directory::remove_platform(txn, name); }));
    co_return platform_changed(name);
  }

  net::Task<std::vector<LegacyPlatform>> platforms() override {
    co_return read([](const Txn& txn) { return directory::platforms(txn); });
  }

  net::Task<std::optional<LegacyPlatform>> platform(std::string name) override {
    co_return read([&](const Txn& txn) { return find_platform(txn, name); });
  }

  void listen(Listener listener) override {
    const std::lock_guard lock(listeners_mutex_);
    auto all = std::make_shared<std::vector<Listener>>(*listeners_);
    all->push_back(std::move(listener));
    listeners_ = std::move(all);
  }

  net::Task<std::optional<Located>> locate(std::string user) override {
    const auto name = parse_user(user, options_.default_domain);
    if (!name) co_return std::optional<Located>{};
    co_return read([&](const Txn& txn) -> Result<std::optional<Located>> {
      RELAIS_TRY(auto record, find_account(txn, *name));
      if (!record || !record->account.enabled) return std::optional<Located>{};
      return directory::locate(txn, *std::move(record));
    });
  }

  net::Task<std::optional<Located>> located(AccountNumber number) override {
    co_return read([&](const Txn& txn) -> Result<std::optional<Located>> {
      RELAIS_TRY(auto record, find_account(txn, number));
      if (!record) return std::optional<Located>{};
      return directory::locate(txn, *std::move(record));
    });
  }

  net::Task<Account> add_legacy_account(LegacyAccount account) override {
    if (account.origin.platform.empty()) co_return fail(Fault::refused, "the account's platform is missing", "NONEXISTENT");
    RELAIS_CO_TRY(auto name, parse_name(account.address));
    Credential credential;
    if (!account.password_hash.empty()) {
      RELAIS_CO_TRY(credential, import_credential(account.password_hash));
    }
    auto job = [this, name = std::move(name), credential = std::move(credential), account = std::move(account)] {
      return create(name, credential, account.quota_octets, account.origin);
    };
    co_return co_await workers_.run(std::move(job));
  }

  net::Task<void> set_origin(AccountNumber account, Origin origin) override {
    co_return co_await change([account, origin = std::move(origin)](Txn& txn) { return directory::set_origin(txn, account, origin); });
  }

  net::Task<Placement> change_placement(AccountNumber account, std::uint64_t expected_epoch, Placement next) override {
    auto job = [this, account, expected_epoch, next = std::move(next)]() -> Result<Placement> {
      RELAIS_TRY(auto now, env_->write([&](Txn& txn) { return directory::change_placement(txn, account, expected_epoch, next, options_.shards); }));
      for (const auto& listener : *listeners()) {
        if (listener.placement_changed) listener.placement_changed(account, now);
      }
      return now;
    };
    co_return co_await workers_.run(std::move(job));
  }

  void learn(AccountNumber account, std::uint64_t generation, std::string password) override {
    const Wiper wiper(password);
    if (!check_password(password) || learned_.contains(learned_.digest(account, generation, password))) return;
    const auto wanted = read([&](const Txn& txn) { return wants_learning(txn, account, generation); });
    if (wanted && *wanted) upgrader_.add(HashUpgrade{account, generation, password, HashUpgrade::Why::learned});
  }

  net::Task<KnowledgeCounts> knowledge(std::string platform) override {
    auto job = [this, platform = std::move(platform)] { return read([&](const Txn& txn) { return count_knowledge(txn, platform); }); };
    co_return co_await workers_.run(std::move(job));
  }

  void settle() { upgrader_.wait_idle(); }

 private:
  static std::optional<Account> account_of(std::optional<AccountRecord> record) {
    if (!record) return std::nullopt;
    return std::move(record->account);
  }

  /// Spells the domain and selector of a DKIM key as they are kept.
  static Result<void> normalise(std::string& domain, std::string& selector) {
    RELAIS_TRY(domain, message::to_ascii_domain(domain));
    auto label = message::to_ascii_domain(selector);
    if (!label) return fail(Fault::syntax, "not a selector: " + selector);
    selector = *std::move(label);
    return {};
  }

  template <class F>
  std::invoke_result_t<F&, const Txn&> read(F&& body) const {
    auto result = env_->read(body);
    if (!result) return fail(as_temporary(std::move(result).error()));
    return result;
  }

  /// Runs a write on a worker.
  template <class F>
  net::asio::awaitable<std::invoke_result_t<F&, Txn&>> change(F body) {
    auto job = [this, body = std::move(body)]() mutable { return env_->write(body); };
    co_return co_await workers_.run(std::move(job));
  }

  template <class F>
  net::Task<void> change_account(std::string address, F edit) {
    RELAIS_CO_TRY(auto name, parse_name(address));
    auto body = [name = std::move(name), edit = std::move(edit)](Txn& txn) -> Result<void> {
      RELAIS_TRY(auto record, existing_account(txn, name));
      edit(record);
      return txn.put(Table::accounts, name.key(), encode_account(record));
    };
    co_return co_await change(std::move(body));
  }

  Result<Account> create(const Name& name, const Credential& credential, std::uint64_t quota_octets, const Origin& origin = {}) {
    const NewAccount made{name, credential, quota_octets, options_.shards, options_.clock->seconds(), origin};
    return env_->write([&](Txn& txn) { return create_account(txn, made); });
  }

  /// nullopt also for a user name that is no address.
  Result<std::optional<AccountRecord>> find_user(std::string_view user) const {
    const auto name = parse_user(user, options_.default_domain);
    if (!name) return std::optional<AccountRecord>{};
    return read([&](const Txn& txn) { return find_account(txn, *name); });
  }

  /// The account as it is now; refused where it was disabled, removed or got a new password since `generation` was read.
  Result<Login> still_valid(AccountNumber number, std::uint64_t generation) const {
    RELAIS_TRY(auto record, read([&](const Txn& txn) { return find_account(txn, number); }));
    if (!record || !record->account.enabled || record->generation != generation) return authentication_failed();
    return login_of(std::move(record->account));
  }

  Result<Login> login_of(Account account) const {
    RELAIS_TRY(auto origin, read([&](const Txn& txn) { return find_origin(txn, account.number); }));
    return Login{std::move(account), std::move(origin.names)};
  }

  /// RFC 5802 §9: who does not exist looks like who does, each time alike.
  ScramKeys made_up_keys(std::string_view user) const {
    const auto who = login_name(user);
    ScramKeys keys;
    keys.salt = hmac(Digest::sha256, secret_, "salt " + who).substr(0, 16);
    keys.iterations = options_.cost.scram_iterations;
    keys.stored_key = hmac(Digest::sha256, secret_, "stored key " + who);
    keys.server_key = hmac(Digest::sha256, secret_, "server key " + who);
    return keys;
  }

  /// On a worker, after a slow check that succeeded.
  void verified(Secret who, const Credential& credential, std::string_view password) {
    if (options_.upgrade_hashes && wants_upgrade(credential, options_.cost)) {
      upgrader_.add(HashUpgrade{who.account, who.generation, std::string(password)});
    }
  }

  /// On the upgrader's thread.
  void upgrade_hash(const HashUpgrade& upgrade) {
    auto credential = new_credential(upgrade.password, options_.cost);
    auto done = credential
                    ? env_->write([&](Txn& txn) { return upgrade_credential(txn, upgrade.account, upgrade.generation, *credential); })
                    : Result<void>(std::unexpected(credential.error()));
    if (!done)
      log::event(log::Level::warning, "hash-upgrade-failed",
                 {{"account", upgrade.account}, {"error", done.error().text}, {"detail", done.error().detail}});
  }

  /// On the upgrader's thread.
  void learn_hash(const HashUpgrade& job) {
    const auto done = try_to_learn(job);
    if (!done)
      log::event(log::Level::warning, "password-not-learned",
                 {{"account", job.account}, {"error", done.error().text}, {"detail", done.error().detail}});
  }

  Result<void> try_to_learn(const HashUpgrade& job) {
    RELAIS_TRY(const auto known, env_->read([&](const Txn& txn) { return find_credential(txn, job.account); }));
    auto generation = job.generation;
    if (!verify_password(known, job.password) || wants_upgrade(known, options_.cost)) {
      RELAIS_TRY(const auto credential, new_credential(job.password, options_.cost, Knowledge::learned));
      RELAIS_TRY(const auto now, env_->write([&](Txn& txn) { return learn_credential(txn, job.account, job.generation, credential); }));
      if (!now) return {};
      generation = *now;
    }
    learned_.remember(learned_.digest(job.account, generation, job.password));
    return {};
  }

  std::shared_ptr<const std::vector<Listener>> listeners() const {
    const std::lock_guard lock(listeners_mutex_);
    return listeners_;
  }

  Result<void> platform_changed(const std::string& name) const {
    for (const auto& listener : *listeners()) {
      if (listener.platform_changed) listener.platform_changed(name);
    }
    return {};
  }

  net::WorkerPool& workers_;
  const std::unique_ptr<LmdbEnv> env_;
  const LmdbDirectoryOptions options_;
  const ResolveRules rules_;
  const std::string secret_;  ///< of this directory; seeds made-up SCRAM keys
  VerifiedCache cache_;
  VerifiedCache learned_;  ///< what learn() need not look at again
  mutable std::mutex listeners_mutex_;
  std::shared_ptr<const std::vector<Listener>> listeners_ = std::make_shared<const std::vector<Listener>>();  // guarded by listeners_mutex_
  HashUpgrader upgrader_;
  Verifier verifier_;
};

}  // namespace

Result<std::unique_ptr<MovingDirectory>> open_lmdb_directory(net::WorkerPool& workers, LmdbDirectoryOptions options) {
  ResolveRules rules;
  rules.tag_separator = options.tag_separator;
  if (!options.default_domain.empty()) {
    RELAIS_TRY(options.default_domain, message::to_ascii_domain(options.default_domain));
    rules.default_domain = options.default_domain;
  }
  if (!options.postmaster.empty()) {
    RELAIS_TRY(rules.postmaster, parse_name(options.postmaster));
  }
  if (options.shards == 0) return fail(Fault::refused, "a directory needs one shard at least");
  RELAIS_TRY(auto env, LmdbEnv::open(options.path, options.map_size));
  RELAIS_TRY(auto secret, env->write([](Txn& txn) { return prepare_environment(txn); }));
  return std::make_unique<LmdbDirectory>(workers, std::move(env), std::move(options), std::move(rules), std::move(secret));
}

void wait_for_upgrades(Directory& directory) {
  if (auto* lmdb = dynamic_cast<LmdbDirectory*>(&directory)) lmdb->settle();
}

}  // namespace relais::directory
