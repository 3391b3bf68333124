// The test platform and its faulty store.
#include "smtp/server/test_support.h"

#include "base/check.h"

#include <algorithm>
#include <limits>
#include <regex>

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

net::Task<void> FakeIntake::accept(std::vector<queue::NewMessage> accepted) {
  if (failure) co_return fail(*failure);
  for (auto& message : accepted) messages.push_back(std::move(message));
  co_return Result<void>{};
}

Result<void> FakeIntake::writable() const {
  if (failure) return fail(*failure);
  return {};
}

std::vector<std::string> FakeIntake::recipients() const {
  static const std::regex srs("SRS0=[^=]+=[^=]+=");
  std::vector<std::string> out;
  for (const auto& message : messages) {
    const auto sender = std::regex_replace(message.sender.empty() ? "<>" : message.sender, srs, "SRS0=$$=$$=");
    for (const auto& recipient : message.recipients) out.push_back(recipient.destination + " " + sender + " " + recipient.address);
  }
  std::ranges::sort(out);
  return out;
}

std::string FakeIntake::content(std::size_t i) const {
  std::string octets;
  RELAIS_CHECK(messages.at(i).content->decode(0, messages[i].content->raw_size(), octets).has_value());
  return octets;
}

namespace {

class FakeRelay final : public Relay {
 public:
  FakeRelay(FakeRelays& relays, std::string destination) : relays_(relays), destination_(std::move(destination)) {}
  net::asio::awaitable<RelayAnswer> check(std::string, std::string recipient, bool) override {
    if (relays_.on_check) relays_.on_check();
    if (recipient.starts_with("ghost")) co_return answer(550, "5.1.1 who is that?");
    if (recipient.starts_with("busy")) co_return answer(450, "4.2.1 not now");
    if (recipient.starts_with("silent")) co_return RelayAnswer{.reply = std::nullopt, .host = "old [192.0.2.9]:25", .trouble = "no answer"};
    co_return answer(250, "2.1.5 ok");
  }
  net::asio::awaitable<std::vector<RelayAnswer>> send(const RelayMessage& message) override {
    if (relays_.on_send) relays_.on_send();
    std::vector<RelayAnswer> answers;
    FakeRelays::Sent sent{destination_, message, {}};
    for (const auto piece : message.content) sent.content += piece;
    sent.message.content.clear();
    for (const auto& recipient : message.recipients) {
      if (recipient.address.starts_with("late")) answers.push_back(answer(554, "5.6.0 I do not like it"));
      else if (recipient.address.starts_with("dead")) answers.push_back({.reply = std::nullopt, .host = "old [192.0.2.9]:25", .trouble = "connection lost"});
      else answers.push_back(answer(250, "2.0.0 taken"));
    }
    relays_.sent.push_back(std::move(sent));
    co_return answers;
  }

 private:
  static RelayAnswer answer(std::uint16_t code, std::string text) {
    return {.reply = Reply{code, {}, std::move(text)}, .host = "old [192.0.2.9]:25", .trouble = {}};
  }
  FakeRelays& relays_;
  std::string destination_;
};

}  // namespace

std::unique_ptr<Relay> FakeRelays::open(const std::string& destination, net::Loop&) { return std::make_unique<FakeRelay>(*this, destination); }

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

void TestPlatform::add_queue() {
  with_outgoing = true;
  restart();
}

std::vector<std::string> TestPlatform::traced() const {
  std::vector<std::string> out;
  for (const auto& event : trace.events()) {
    std::string line(to_string(event.kind));
    for (const auto& to : event.to) line += " " + to;
    out.push_back(std::move(line));
  }
  return out;
}

void TestPlatform::restart() {
  routing = std::make_unique<Routing>(*names, clock);
  DeliveryParts parts{.intake = nullptr, .router = nullptr, .trace = trace};
  if (with_outgoing) {
    parts.intake = &intake;
    parts.router = routing.get();
  }
  delivery = std::make_unique<Delivery>(store, *names, options, clock, parts);
  (void)run(delivery->recover());
}

void TestPlatform::settle(int rounds) {
  for (int i = 0; i < rounds && delivery->pending() != 0; ++i) {
    clock.advance(options.longest_retry);
    (void)run(delivery->work());
  }
}

}  // namespace relais::smtp::testing
