// What the tests of the sessions share: a store in memory, a directory that knows three people, and a session over a script.
#pragma once

#include "base/ascii.h"
#include "base/clock.h"
#include "directory/directory.h"
#include "imap/server/server.h"
#include "net/memory_stream.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/sharded_store.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap::testing {

/// alice and bob have the password "secret" and live on shard 0; carol's mail is still on the legacy platform; nobody else exists.
class FakeDirectory final : public directory::Directory {
 public:
  directory::NameView names{};  ///< of everybody; before the first login

  net::Task<directory::Recipient> resolve(std::string address) override;
  net::Task<std::optional<directory::Account>> find(std::string address) override;
  net::Task<std::optional<directory::Account>> find_number(directory::AccountNumber account) override;
  net::Task<directory::Login> authenticate(std::string user, std::string password) override;
  std::string login_name(std::string_view user) const override { return to_lower(user); }
  net::Task<directory::ScramKeys> scram_keys(std::string user) override;
  net::Task<directory::Login> login_verified(std::string user, std::uint64_t generation) override;
  bool scram_ready() const override { return false; }
  net::Task<bool> is_local_domain(std::string domain) override;
  net::Task<bool> may_send_as(directory::AccountNumber account, std::string address) override;
  net::Task<void> add_domain(std::string name) override;
  net::Task<void> remove_domain(std::string name) override;
  net::Task<std::vector<directory::Domain>> domains() override;
  net::Task<directory::Account> add_account(std::string address, std::string password, std::uint64_t quota_octets) override;
  net::Task<directory::Account> import_account(directory::ImportedAccount account) override;
  net::Task<std::vector<directory::Account>> accounts(std::string domain) override;
  net::Task<void> set_password(std::string address, std::string password) override;
  net::Task<void> set_enabled(std::string address, bool enabled) override;
  net::Task<void> set_quota(std::string address, std::uint64_t octets, std::uint64_t messages) override;
  net::Task<directory::Account> remove_account(std::string address) override;
  net::Task<void> add_alias(std::string address, std::vector<std::string> targets) override;
  net::Task<void> remove_alias(std::string address) override;
  net::Task<std::vector<directory::Alias>> aliases(std::string domain) override;
  net::Task<void> set_route(directory::Route route) override;
  net::Task<void> remove_route(std::string domain) override;
  net::Task<std::vector<directory::Route>> routes() override;
  net::Task<std::optional<directory::Route>> route_of(std::string domain) override;
  net::Task<void> add_dkim_key(directory::DkimKey key) override;
  net::Task<void> set_dkim_state(std::string domain, std::string selector, directory::DkimKey::State state) override;
  net::Task<void> remove_dkim_key(std::string domain, std::string selector) override;
  net::Task<std::vector<directory::DkimKey>> dkim_keys(std::string domain) override;
  net::Task<std::vector<std::string>> srs_secrets() override;
  net::Task<void> renew_srs_secret() override;
};

/// A server with everything below it, the same octets at every run.
class World {
 public:
  explicit World(Options options = plaintext(), std::shared_ptr<net::TlsContext> tls = nullptr);

  static Options plaintext() {
    Options options;
    options.allow_plaintext = true;
    return options;
  }

  net::SessionStarter starter() const { return session_starter(server_); }
  /// What the server works with, for another one beside it.
  const Services& services() const noexcept { return services_; }
  storage::Store& store() noexcept { return *store_; }
  storage::MemoryEngine& engine() noexcept { return *engine_; }
  ManualClock& clock() noexcept { return clock_; }
  /// How everybody knows the mailboxes. Before the first login.
  void set_names(directory::NameView names) { directory_.names = std::move(names); }
  static constexpr storage::AccountRef alice() noexcept { return {storage::AccountId{1}, 0}; }
  /// Delivers to one of alice's mailboxes, which is made where it is missing.
  storage::Uid deliver(const std::string& mailbox, std::string_view message, std::vector<std::string> flags = {});
  /// A small message; equal numbers give equal octets.
  static std::string sample(unsigned number);

 private:
  ManualClock clock_;
  FakeDirectory directory_;
  storage::MemoryEngine* engine_ = nullptr;
  std::unique_ptr<storage::ShardedStore> store_;
  Services services_;
  std::shared_ptr<Server> server_;
};

}  // namespace relais::imap::testing
