// The test platform and its faulty store.
#include "smtp/server/test_support.h"

#include "base/check.h"

#include <limits>

namespace relais::smtp::testing {
namespace {

Error killed() { return {Fault::temporary, "READ_ONLY", "killed", "by the test"}; }

std::vector<std::unique_ptr<storage::Engine>> two_engines() {
  std::vector<std::unique_ptr<storage::Engine>> engines;
  engines.push_back(storage::make_memory_engine());
  engines.push_back(storage::make_memory_engine());
  return engines;
}

directory::LmdbDirectoryOptions directory_options() {
  directory::LmdbDirectoryOptions options;
  options.shards = 2;
  options.default_domain = "example.test";
  options.cost = directory::kTestCost;
  return options;
}

}  // namespace

void FaultStore::die_at(std::uint64_t n, bool kept) {
  at_ = calls_ + n;
  kept_ = kept;
  once_.reset();
}

void FaultStore::fail_once_at(std::uint64_t n, Error error) {
  at_ = calls_ + n;
  once_ = std::move(error);
}

void FaultStore::revive() {
  at_ = ~0ULL;
  dead_ = false;
  once_.reset();
}

template <class T>
net::Task<T> FaultStore::modify(net::Task<T> call) {
  const auto number = calls_++;
  if (dead_) co_return fail(killed());
  if (number == at_ && once_) co_return fail(*once_);
  if (number == at_) {
    dead_ = true;
    if (kept_) (void)co_await std::move(call);
    co_return fail(killed());
  }
  co_return co_await std::move(call);
}

#define RELAIS_DEAD \
  if (dead_) co_return fail(killed())

net::Task<storage::MailboxView> FaultStore::open(storage::AccountRef account, std::string name, bool claim) {
  RELAIS_DEAD;
  co_return co_await inner_.open(account, std::move(name), claim);
}
net::Task<storage::MailboxChanges> FaultStore::changes(storage::AccountRef account, storage::MailboxId box, storage::ModSeq since, bool vanished) {
  RELAIS_DEAD;
  co_return co_await inner_.changes(account, box, since, vanished);
}
net::Task<void> FaultStore::fetch(storage::AccountRef account, storage::MailboxId box, storage::FetchRequest request, storage::FetchBatch& batch) {
  RELAIS_DEAD;
  co_return co_await inner_.fetch(account, box, request, batch);
}
net::Task<void> FaultStore::read_content(storage::AccountRef account, storage::MailboxId box, storage::Uid uid, std::uint64_t offset, std::uint64_t length,
                                         std::string& into) {
  RELAIS_DEAD;
  co_return co_await inner_.read_content(account, box, uid, offset, length, into);
}
net::Task<storage::MailboxInfo> FaultStore::create(storage::AccountRef account, std::string name, std::uint8_t use, std::optional<std::uint32_t> validity) {
  return modify(inner_.create(account, std::move(name), use, validity));
}
net::Task<void> FaultStore::rename(storage::AccountRef account, std::string from, std::string to) {
  return modify(inner_.rename(account, std::move(from), std::move(to)));
}
net::Task<void> FaultStore::remove(storage::AccountRef account, std::string name) { return modify(inner_.remove(account, std::move(name))); }
net::Task<void> FaultStore::subscribe(storage::AccountRef account, std::string name, bool subscribed) {
  return modify(inner_.subscribe(account, std::move(name), subscribed));
}
net::Task<storage::AppendResult> FaultStore::append(storage::AccountRef account, std::string mailbox, std::vector<storage::AppendMessage> messages,
                                                    bool create_missing, std::string once) {
  if (judge_) {
    if (auto error = judge_(account)) co_return fail(std::move(*error));
  }
  co_return co_await modify(inner_.append(account, std::move(mailbox), std::move(messages), create_missing, std::move(once)));
}
net::Task<void> FaultStore::forget_once(storage::AccountRef account, std::string once) { return modify(inner_.forget_once(account, std::move(once))); }
net::Task<storage::StoreFlagsResult> FaultStore::store_flags(storage::AccountRef account, storage::MailboxId box, storage::StoreFlagsRequest request) {
  return modify(inner_.store_flags(account, box, std::move(request)));
}
net::Task<storage::ExpungeResult> FaultStore::expunge(storage::AccountRef account, storage::MailboxId box, std::optional<NumberSet> uids, bool any) {
  return modify(inner_.expunge(account, box, std::move(uids), any));
}
net::Task<storage::CopyResult> FaultStore::copy(storage::AccountRef account, storage::MailboxId from, NumberSet uids, std::string to) {
  return modify(inner_.copy(account, from, std::move(uids), std::move(to)));
}
net::Task<storage::CopyResult> FaultStore::move(storage::AccountRef account, storage::MailboxId from, NumberSet uids, std::string to) {
  return modify(inner_.move(account, from, std::move(uids), std::move(to)));
}
net::Task<void> FaultStore::set_quota(storage::AccountRef account, std::uint64_t octets, std::uint64_t messages) {
  return modify(inner_.set_quota(account, octets, messages));
}
net::Task<void> FaultStore::set_uid_next(storage::AccountRef account, storage::MailboxId box, storage::Uid next, storage::ModSeq highest) {
  return modify(inner_.set_uid_next(account, box, next, highest));
}
net::Task<void> FaultStore::remove_account(storage::AccountRef account) { return modify(inner_.remove_account(account)); }

Result<void> FaultStore::writable(storage::ShardNumber shard) const {
  if (dead_) return fail(killed());
  return inner_.writable(shard);
}

TestPlatform::TestPlatform(DeliveryOptions delivery_options)
    : names(directory_options()), shards(two_engines(), &names.workers(), clock), options(std::move(delivery_options)) {
  options.hostname = "mx.example.test";
  RELAIS_CHECK(run(names->add_domain("example.test")).has_value());
  restart();
}

TestPlatform::~TestPlatform() = default;

storage::AccountRef TestPlatform::add(const std::string& address, const std::string& password) {
  const auto account = run(names->add_account(address, password, 0));
  RELAIS_CHECK(account.has_value());
  return {storage::AccountId{account->number}, account->placement.shard};
}

std::vector<std::string> TestPlatform::messages(storage::AccountRef account, std::string mailbox) {
  std::vector<std::string> out;
  const auto view = run(shards.open(account, std::move(mailbox), false));
  if (!view) return out;
  view->uids.for_each([&](std::uint32_t uid) {
    std::string text;
    RELAIS_CHECK(run(shards.read_content(account, view->info.id, uid, 0, std::numeric_limits<std::uint32_t>::max(), text)).has_value());
    out.push_back(std::move(text));
  });
  return out;
}

storage::PreparedPtr TestPlatform::prepared(std::string_view text) {
  auto message = run(shards.prepare(text));
  RELAIS_CHECK(message.has_value());
  return *message;
}

void TestPlatform::restart() {
  delivery = std::make_unique<Delivery>(store, *names, options, clock);
  (void)run(delivery->recover());
}

void TestPlatform::settle(int rounds) {
  for (int i = 0; i < rounds && delivery->pending() != 0; ++i) {
    clock.advance(options.longest_retry);
    (void)run(delivery->work());
  }
}

}  // namespace relais::smtp::testing
