// The world in which sessions are tested.
#include "imap/server/testing.h"

#include "base/check.h"
#include "base/log.h"
#include "imap/proto/values.h"
#include "storage/model/testing.h"

namespace relais::imap::testing {
namespace {

directory::Account account_of(std::string_view user) {
  directory::Account account;
  account.address = std::string(user) + "@example.org";
  account.number = user == "alice" ? 1 : user == "bob" ? 2 : 3;
  account.placement.kind = user == "carol" ? directory::Placement::Kind::legacy : directory::Placement::Kind::shard;
  return account;
}

bool exists(std::string_view user) { return user == "alice" || user == "bob" || user == "carol"; }

std::unexpected<Error> unused() { return fail(Fault::refused, "not in these tests"); }

}  // namespace

net::Task<directory::Login> FakeDirectory::authenticate(std::string user, std::string password) {
  if (user == "down") co_return fail(Fault::temporary, "the directory can't be read");
  if (!exists(user) || password != "secret") co_return fail(Fault::refused, "wrong user name or password", "AUTHENTICATIONFAILED");
  co_return directory::Login{account_of(user), names};
}

net::Task<std::optional<directory::Account>> FakeDirectory::find(std::string address) {
  if (!exists(address)) co_return std::nullopt;
  co_return account_of(address);
}

net::Task<directory::Recipient> FakeDirectory::resolve(std::string) { co_return unused(); }
net::Task<std::optional<directory::Account>> FakeDirectory::find_number(directory::AccountNumber) { co_return unused(); }
net::Task<directory::ScramKeys> FakeDirectory::scram_keys(std::string) { co_return unused(); }
net::Task<directory::Login> FakeDirectory::login_verified(std::string, std::uint64_t) { co_return unused(); }
net::Task<bool> FakeDirectory::is_local_domain(std::string) { co_return unused(); }
net::Task<bool> FakeDirectory::may_send_as(directory::AccountNumber, std::string) { co_return unused(); }
net::Task<void> FakeDirectory::add_domain(std::string) { co_return unused(); }
net::Task<void> FakeDirectory::remove_domain(std::string) { co_return unused(); }
net::Task<std::vector<directory::Domain>> FakeDirectory::domains() { co_return unused(); }
net::Task<directory::Account> FakeDirectory::add_account(std::string, std::string, std::uint64_t) { co_return unused(); }
net::Task<directory::Account> FakeDirectory::import_account(directory::ImportedAccount) { co_return unused(); }
net::Task<std::vector<directory::Account>> FakeDirectory::accounts(std::string) { co_return unused(); }
net::Task<void> FakeDirectory::set_password(std::string, std::string) { co_return unused(); }
net::Task<void> FakeDirectory::set_enabled(std::string, bool) { co_return unused(); }
net::Task<void> FakeDirectory::set_quota(std::string, std::uint64_t, std::uint64_t) { co_return unused(); }
net::Task<directory::Account> FakeDirectory::remove_account(std::string) { co_return unused(); }
net::Task<void> FakeDirectory::add_alias(std::string, std::vector<std::string>) { co_return unused(); }
net::Task<void> FakeDirectory::remove_alias(std::string) { co_return unused(); }
net::Task<std::vector<directory::Alias>> FakeDirectory::aliases(std::string) { co_return unused(); }
net::Task<void> FakeDirectory::set_route(directory::Route) { co_return unused(); }
net::Task<void> FakeDirectory::remove_route(std::string) { co_return unused(); }
net::Task<std::vector<directory::Route>> FakeDirectory::routes() { co_return unused(); }
net::Task<std::optional<directory::Route>> FakeDirectory::route_of(std::string) { co_return unused(); }
net::Task<void> FakeDirectory::add_dkim_key(directory::DkimKey) { co_return unused(); }
net::Task<void> FakeDirectory::set_dkim_state(std::string, std::string, directory::DkimKey::State) { co_return unused(); }
net::Task<void> FakeDirectory::remove_dkim_key(std::string, std::string) { co_return unused(); }
net::Task<std::vector<directory::DkimKey>> FakeDirectory::dkim_keys(std::string) { co_return unused(); }
net::Task<std::vector<std::string>> FakeDirectory::srs_secrets() { co_return unused(); }
net::Task<void> FakeDirectory::renew_srs_secret() { co_return unused(); }

World::World(Options options, std::shared_ptr<net::TlsContext> tls) {
  log::configure(log::Level::error, log::Format::logfmt);
  auto engine = storage::make_memory_engine();
  engine_ = engine.get();
  std::vector<std::unique_ptr<storage::Engine>> engines;
  engines.push_back(std::move(engine));
  store_ = std::make_unique<storage::ShardedStore>(std::move(engines), nullptr, clock_);
  services_.directory = &directory_;
  services_.store = store_.get();
  services_.tls = std::move(tls);
  services_.clock = &clock_;
  services_.connections = std::make_shared<AccountConnections>();
  server_ = std::make_shared<Server>(services_, std::move(options));
}

storage::Uid World::deliver(const std::string& mailbox, std::string_view message, std::vector<std::string> flags) {
  storage::AppendMessage append;
  append.message = storage::testing::await(store_->prepare(message)).value();
  for (auto& flag : flags) {
    if (const auto bit = system_flag(flag)) {
      append.system_flags |= *bit;
    } else {
      append.keywords.push_back(std::move(flag));
    }
  }
  std::vector<storage::AppendMessage> messages;
  messages.push_back(std::move(append));
  const auto done = storage::testing::await(store_->append(alice(), mailbox, std::move(messages), true, {}));
  RELAIS_CHECK(done.has_value());
  return done->uids.front();
}

std::string World::sample(unsigned number) {
  const auto n = std::to_string(number);
  return "From: Alice <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: number " + n +
         "\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <" + n + "@example.org>\r\n\r\nbody " + n + "\r\n";
}

}  // namespace relais::imap::testing
