// A small platform for tests of sessions and delivery: memory engines, a directory in a temporary folder, faults on demand.
#pragma once

#include "directory/test_support.h"
#include "net/memory_stream.h"
#include "smtp/server/options.h"
#include "smtp/server/routing.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/sharded_store.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace relais::smtp::testing {

/// A Store whose modifying calls can be made to fail from a certain one on, as if the process had been killed there.
class FaultStore final : public storage::Store {
 public:
  explicit FaultStore(storage::Store& inner) : inner_(inner) {}

  /// The n-th modifying call from now (0 is the next) and all calls after it fail. @param kept  that call takes effect all the same
  void die_at(std::uint64_t n, bool kept);
  /// Only the n-th modifying call fails, with this error, and does nothing.
  void fail_once_at(std::uint64_t n, Error error);
  /// Appends to this account fail until lifted (an empty function lifts it).
  void refuse(std::function<std::optional<Error>(storage::AccountRef)> judge) { judge_ = std::move(judge); }
  void revive();
  std::uint64_t calls() const noexcept { return calls_; }
  bool dead() const noexcept { return dead_; }

  net::Task<storage::PreparedPtr> prepare(std::string_view octets) override { return inner_.prepare(octets); }
  net::Task<std::vector<storage::MailboxInfo>> list(storage::AccountRef account) override { return inner_.list(account); }
  net::Task<storage::MailboxInfo> status(storage::AccountRef account, std::string name) override { return inner_.status(account, std::move(name)); }
  net::Task<storage::MailboxInfo> create(storage::AccountRef account, std::string name, std::uint8_t use, std::optional<std::uint32_t> validity) override;
  net::Task<void> rename(storage::AccountRef account, std::string from, std::string to) override;
  net::Task<void> remove(storage::AccountRef account, std::string name) override;
  net::Task<void> subscribe(storage::AccountRef account, std::string name, bool subscribed) override;
  net::Task<storage::MailboxView> open(storage::AccountRef account, std::string name, bool claim) override;
  net::Task<storage::MailboxChanges> changes(storage::AccountRef account, storage::MailboxId box, storage::ModSeq since, bool vanished) override;
  net::Task<void> fetch(storage::AccountRef account, storage::MailboxId box, storage::FetchRequest request, storage::FetchBatch& batch) override;
  net::Task<void> read_content(storage::AccountRef account, storage::MailboxId box, storage::Uid uid, std::uint64_t offset, std::uint64_t length,
                               std::string& into) override;
  net::Task<storage::QuotaUsage> quota(storage::AccountRef account) override { return inner_.quota(account); }
  net::Task<storage::AppendResult> append(storage::AccountRef account, std::string mailbox, std::vector<storage::AppendMessage> messages, bool create_missing,
                                          std::string once) override;
  net::Task<void> forget_once(storage::AccountRef account, std::string once) override;
  net::Task<storage::StoreFlagsResult> store_flags(storage::AccountRef account, storage::MailboxId box, storage::StoreFlagsRequest request) override;
  net::Task<storage::ExpungeResult> expunge(storage::AccountRef account, storage::MailboxId box, std::optional<NumberSet> uids, bool any) override;
  net::Task<storage::CopyResult> copy(storage::AccountRef account, storage::MailboxId from, NumberSet uids, std::string to) override;
  net::Task<storage::CopyResult> move(storage::AccountRef account, storage::MailboxId from, NumberSet uids, std::string to) override;
  net::Task<void> set_quota(storage::AccountRef account, std::uint64_t octets, std::uint64_t messages) override;
  net::Task<void> set_uid_next(storage::AccountRef account, storage::MailboxId box, storage::Uid next, storage::ModSeq highest) override;
  net::Task<void> remove_account(storage::AccountRef account) override;
  std::unique_ptr<storage::Subscription> subscribe_changes(storage::AccountId account, std::function<void(const storage::ChangeEvent&)> callback) override {
    return inner_.subscribe_changes(account, std::move(callback));
  }
  std::size_t shards() const override { return inner_.shards(); }
  Result<void> writable(storage::ShardNumber shard) const override;

 private:
  template <class T>
  net::Task<T> modify(net::Task<T> call);

  storage::Store& inner_;
  std::uint64_t calls_ = 0;
  std::uint64_t at_ = ~0ULL;
  bool kept_ = false;
  bool dead_ = false;
  std::optional<Error> once_;
  std::function<std::optional<Error>(storage::AccountRef)> judge_;
};

/// What sessions and the delivery agent give to the queue, kept for a test to look at.
class FakeIntake final : public Intake {
 public:
  net::Task<void> accept(std::vector<queue::NewMessage> messages) override;
  Result<void> writable() const override;
  /// "destination sender address" of each recipient, sorted; SRS hashes and days are "$".
  std::vector<std::string> recipients() const;
  /// The octets of a message.
  std::string content(std::size_t i) const;

  std::vector<queue::NewMessage> messages;
  std::optional<Error> failure;  ///< of everything, until it is reset
};

/// Other hosts that answer by the recipient's local part: ghost… is refused at RCPT, busy… temporarily, late… at the end of the content, silent…
/// gives no answer at RCPT, dead… none at the end of the content; all others are taken.
class FakeRelays final : public Relays {
 public:
  std::unique_ptr<Relay> open(const std::string& destination, net::Loop& loop) override;
  struct Sent {
    std::string destination;
    RelayMessage message;
    std::string content;
  };
  std::vector<Sent> sent;
  std::function<void()> on_check{};  ///< runs before the host answers
  std::function<void()> on_send{};
};

/// Two shards in memory, a directory with domain example.test, and what sessions need. One test's own.
class TestPlatform {
 public:
  explicit TestPlatform(DeliveryOptions delivery_options = {});
  ~TestPlatform();

  storage::AccountRef add(const std::string& address, const std::string& password = "secret");
  /// Complete messages of a mailbox, in UID order.
  std::vector<std::string> messages(storage::AccountRef account, std::string mailbox = "INBOX");
  std::size_t count(storage::AccountRef account, std::string mailbox = "INBOX") { return messages(account, std::move(mailbox)).size(); }
  storage::PreparedPtr prepared(std::string_view text);
  template <class T>
  T run(net::asio::awaitable<T> call) {
    return names.run(std::move(call));
  }
  /// As a restart of the process: a new delivery agent over the same data.
  void restart();
  /// Works until nothing is pending, advancing the clock; at most `rounds` times.
  void settle(int rounds = 100);
  Platform platform() { return {*names, *delivery, store, limits, throttle, clock, trace, with_outgoing ? &outgoing : nullptr, legacy_logins}; }
  net::SessionStarter service(Options chosen) { return make_service(std::move(chosen), platform(), nullptr); }
  /// From now on there is a queue, for sessions and for the delivery agent.
  void add_queue();
  /// Kinds of the trace's events so far, with what they are about: "received", "refused bob@b.test".
  std::vector<std::string> traced() const;

  ManualClock clock;
  MemoryTraceLog trace;
  FakeIntake intake;
  FakeRelays relays;
  antispam::SendingLimits sending{{}, clock};
  Outgoing outgoing{.intake = intake, .relays = &relays, .signer = nullptr, .sending = &sending, .gate = &gate, .check = {}};
  bool with_outgoing = false;
  const directory::LegacyLoginParts* legacy_logins = nullptr;
  directory::TestDirectory names;
  directory::PlacementGate gate{*names};
  storage::ShardedStore shards;
  FaultStore store{shards};
  DeliveryOptions options;
  std::unique_ptr<Delivery> delivery;
  antispam::RateLimits limits{{}, clock};
  net::Throttle throttle{clock};
  std::unique_ptr<Routing> routing;
};

}  // namespace relais::smtp::testing
