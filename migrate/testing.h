// For tests: an account at a server that changes while it is read, and a place that it is copied to, both in memory, both with faults.
#pragma once

#include "migrate/source.h"
#include "migrate/target.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::migrate::testing {

struct HeldMessage {
  std::string octets{};
  storage::FlagBits flags = 0;
  std::set<std::string> keywords{};
  std::vector<std::string> odd_flags{};
  std::int64_t date = 0;
  std::int16_t zone = 0;
  ModSeq mod_seq = 0;
  bool unreadable = false;                   ///< a server's: it cannot give it
  std::optional<std::uint64_t> told_size{};  ///< a server's: RFC822.SIZE where it is not that of the octets
};

struct HeldMailbox {
  std::uint64_t id = 0;
  std::uint32_t uid_validity = 0;
  Uid uid_next = 1;
  ModSeq highest_mod_seq = 1;
  std::map<Uid, HeldMessage> messages{};
  std::map<Uid, ModSeq> vanished{};  ///< a server's
  std::uint8_t special_use = storage::kUseNone;
  bool selectable = true;
};

/// Called at each step. An Error ends the call there.
using Hook = std::function<Result<void>(std::string_view step)>;

/// What clients of a server see of an account, and do to it.
class MemoryServer {
 public:
  enum class Kind : std::uint8_t { plain, condstore, qresync };
  explicit MemoryServer(Kind kind) : kind_(kind) { create("INBOX"); }

  Kind kind() const noexcept { return kind_; }
  HeldMailbox& create(const std::string& name);
  void remove(const std::string& name) { mailboxes.erase(name); }
  void rename(const std::string& from, const std::string& to);
  Uid append(const std::string& name, HeldMessage message);
  /// After something was done to a message.
  void touched(HeldMailbox& mailbox, Uid uid);
  void expunge(const std::string& name, Uid uid);

  std::map<std::string, HeldMailbox> mailboxes{};
  std::set<std::string> subscriptions{};
  std::uint32_t next_validity = 1'000;
  bool out_of_order = false;  ///< messages come last first

 private:
  const Kind kind_;
  ModSeq mod_seq_ = 1;
};

/// Clients at work on an account, at random.
class Clients {
 public:
  /// Both outlive it.
  Clients(MemoryServer& server, std::mt19937& dice) : server_(server), dice_(dice) {}
  /// One thing that a client does.
  void act();

 private:
  std::uint32_t below(std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(dice_); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::string name();
  std::string any();
  std::pair<std::string, Uid> any_message();
  std::set<std::string> keywords();
  void create();
  void remove();
  void rename();
  void reset();
  void use();
  void subscribe();
  void expunge();
  void flag();
  void toggle();
  void append();

  MemoryServer& server_;
  std::mt19937& dice_;
  std::uint64_t serial_ = 0;
};

/// Reads a MemoryServer as ImapSource reads a server of its kind.
class MemorySource final : public Source {
 public:
  /// @param hook  may change the server; called before each call, and before and after each message
  explicit MemorySource(MemoryServer& server, Hook hook = {});

  const SourceTraits& traits() const noexcept override { return traits_; }
  net::Task<SourceListing> list() override;
  net::Task<SourceChanges> changes(const SourceMailbox& mailbox, Cursor since, const NumberSet& known) override;
  net::Task<void> messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) override;
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox) override;
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox, NumberSet uids) override;
  net::Task<SourceExtras> extras(const SourceListing&) override { co_return SourceExtras{}; }
  net::Task<void> wait(net::Deadline) override { co_return Result<void>{}; }
  std::chrono::microseconds round_trip() const noexcept override { return {}; }
  net::asio::awaitable<void> close() override { co_return; }

  std::vector<SourceListing::Left> left{};  ///< what list() tells of it
  std::uint64_t asked = 0;                  ///< messages that were asked for

 private:
  net::Task<void> step(std::string_view what);
  Result<HeldMailbox*> open(const SourceMailbox& mailbox);
  Cursor state_of(const HeldMailbox& mailbox) const;

  MemoryServer& server_;
  Hook hook_;
  SourceTraits traits_;
};

/// Holds what it is given, and refuses what a Target has no right to be asked for.
class MemoryTarget final : public Target {
 public:
  /// @param hook  called before each call that writes, and after it, when it is done
  explicit MemoryTarget(Hook hook = {}, std::size_t max_keywords = 56) : hook_(std::move(hook)), traits_{max_keywords} {}

  const TargetTraits& traits() const noexcept override { return traits_; }
  net::Task<TargetListing> list() override;
  net::Task<NumberSet> uids(const TargetMailbox& mailbox) override;
  net::Task<TargetMailbox> create(const SourceMailbox& mailbox) override;
  net::Task<void> rename(const TargetMailbox& mailbox, std::string to) override;
  net::Task<void> remove(const TargetMailbox& mailbox) override;
  net::Task<void> set_subscriptions(std::vector<std::string> names) override;
  net::Task<void> append(const TargetMailbox& mailbox, std::vector<Message> messages) override;
  net::Task<void> set_flags(const TargetMailbox& mailbox, std::vector<SourceMessage> messages) override;
  net::Task<void> expunge(const TargetMailbox& mailbox, NumberSet uids, ModSeq mod_seq) override;
  net::Task<void> set_counters(const TargetMailbox& mailbox, Uid uid_next, ModSeq highest_mod_seq) override;
  net::Task<std::vector<SourceMessage>> flags(const TargetMailbox& mailbox) override { return everything(mailbox); }
  net::Task<std::vector<SourceMessage>> everything(const TargetMailbox& mailbox) override;
  net::Task<std::vector<SourceMessage>> everything(const TargetMailbox& mailbox, NumberSet uids) override;
  net::Task<std::vector<TargetDigest>> digests(const TargetMailbox& mailbox, NumberSet uids) override;

  std::map<std::string, HeldMailbox> mailboxes{};
  std::vector<std::string> subscriptions{};
  std::uint64_t writes = 0;          ///< calls that wrote
  std::uint64_t largest_append = 0;  ///< octets
  std::set<std::string> damaged{};   ///< messages with these octets are written wrong, once
  unsigned slowness = 0;             ///< how often others run while messages are appended

 private:
  net::Task<void> begin(std::string_view what);
  Result<void> done(std::string_view what);
  Result<HeldMailbox*> open(const TargetMailbox& mailbox);
  TargetMailbox info(const std::string& name, const HeldMailbox& mailbox) const;
  void drop(const std::string& name);

  Hook hook_;
  TargetTraits traits_;
  std::uint64_t next_id_ = 1;
};

/// What differs between an account and its copy, as text; empty: nothing. Messages that the server cannot give may be missing.
std::string difference(const MemoryServer& server, const std::map<std::string, HeldMailbox>& copy);

}  // namespace relais::migrate::testing
