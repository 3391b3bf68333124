// Writes an account into the storage; see store_target.h.
#include "migrate/store_target.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace relais::migrate {
namespace {

constexpr ModSeq kMaxModSeq = ModSeq{1} << 62;         // that can be dictated; a higher one is replaced by one of ours
constexpr std::uint64_t kPreparedAtOnce = 256 * 1024;  // octets that are prepared before the loop is let go

ModSeq dictated(ModSeq mod_seq) { return mod_seq <= kMaxModSeq ? mod_seq : 0; }

storage::MailboxId id_of(const TargetMailbox& mailbox) { return storage::MailboxId{static_cast<std::uint32_t>(mailbox.id)}; }

TargetMailbox target_of(storage::MailboxInfo info) {
  TargetMailbox out;
  out.name = std::move(info.name);
  out.id = static_cast<std::uint32_t>(info.id);
  out.uid_validity = info.uid_validity;
  out.uid_next = info.uid_next;
  out.highest_mod_seq = info.highest_mod_seq;
  out.messages = info.messages;
  out.special_use = info.special_use;
  out.selectable = info.selectable;
  std::erase(info.keywords, "");
  out.keywords = std::move(info.keywords);
  return out;
}

std::vector<std::string> keywords_of(storage::FlagBits flags, const std::vector<std::string>& known) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if ((flags >> (storage::kFirstKeyword + i) & 1U) != 0 && !known[i].empty()) out.push_back(known[i]);
  }
  std::ranges::sort(out);
  return out;
}

class StoreTarget final : public Target {
 public:
  StoreTarget(storage::Store& store, storage::Import& import, storage::AccountRef account)
      : store_(store), import_(import), account_(account) {
    traits_.max_keywords = storage::kMaxKeywords;
  }

  const TargetTraits& traits() const noexcept override { return traits_; }
  net::Task<TargetListing> list() override;
  net::Task<NumberSet> uids(const TargetMailbox& mailbox) override;
  net::Task<TargetMailbox> create(const SourceMailbox& mailbox) override;
  net::Task<void> rename(const TargetMailbox& mailbox, std::string to) override {
    return import_.rename(account_, id_of(mailbox), std::move(to));
  }
  net::Task<void> remove(const TargetMailbox& mailbox) override { return import_.remove(account_, id_of(mailbox)); }
  net::Task<void> set_subscriptions(std::vector<std::string> names) override {
    return import_.set_subscriptions(account_, std::move(names));
  }
  net::Task<void> append(const TargetMailbox& mailbox, std::vector<Message> messages) override;
  net::Task<void> set_flags(const TargetMailbox& mailbox, std::vector<SourceMessage> messages) override;
  net::Task<void> expunge(const TargetMailbox& mailbox, NumberSet uids, ModSeq mod_seq) override {
    return import_.expunge(account_, id_of(mailbox), std::move(uids), dictated(mod_seq));
  }
  net::Task<void> set_counters(const TargetMailbox& mailbox, Uid uid_next, ModSeq highest_mod_seq) override;
  net::Task<std::vector<SourceMessage>> flags(const TargetMailbox& mailbox) override {
    return fetch(mailbox, storage::kFetchFlags, std::nullopt);
  }
  net::Task<std::vector<SourceMessage>> everything(const TargetMailbox& mailbox) override {
    return fetch(mailbox, storage::kFetchFlags | storage::kFetchMeta, std::nullopt);
  }
  net::Task<std::vector<SourceMessage>> everything(const TargetMailbox& mailbox, NumberSet uids) override {
    return fetch(mailbox, storage::kFetchFlags | storage::kFetchMeta, std::move(uids));
  }
  net::Task<std::vector<TargetDigest>> digests(const TargetMailbox& mailbox, NumberSet uids) override;

 private:
  net::Task<std::vector<std::string>> keywords_in_use(const TargetMailbox& mailbox);
  /// @param some  nullopt: all
  net::Task<std::vector<SourceMessage>> fetch(const TargetMailbox& mailbox, std::uint32_t fields, std::optional<NumberSet> some);

  storage::Store& store_;
  storage::Import& import_;
  const storage::AccountRef account_;
  TargetTraits traits_;
};

net::Task<TargetListing> StoreTarget::list() {
  RELAIS_CO_TRY(auto found, co_await import_.list(account_));
  TargetListing out;
  for (auto& info : found) {
    if (info.subscribed) out.subscriptions.push_back(info.name);
    if (!info.exists) continue;
    auto& mailbox = out.mailboxes.emplace_back(target_of(std::move(info)));
    // Names stay until others need their places: which ones are in use matters where there is no other place.
    if (mailbox.keywords.size() < traits_.max_keywords) continue;
    RELAIS_CO_TRY(mailbox.keywords, co_await keywords_in_use(mailbox));
  }
  std::ranges::sort(out.subscriptions);
  co_return out;
}

net::Task<std::vector<std::string>> StoreTarget::keywords_in_use(const TargetMailbox& mailbox) {
  RELAIS_CO_TRY(const auto messages, co_await flags(mailbox));
  std::set<std::string> used;
  for (const auto& message : messages) used.insert(message.keywords.begin(), message.keywords.end());
  co_return std::vector<std::string>(used.begin(), used.end());
}

net::Task<NumberSet> StoreTarget::uids(const TargetMailbox& mailbox) {
  RELAIS_CO_TRY(auto view, co_await import_.open(account_, id_of(mailbox)));
  co_return std::move(view.uids);
}

net::Task<TargetMailbox> StoreTarget::create(const SourceMailbox& mailbox) {
  storage::ImportedMailbox wanted;
  wanted.name = mailbox.name;
  wanted.uid_validity = mailbox.state.uid_validity;
  wanted.special_use = mailbox.special_use;
  wanted.selectable = mailbox.selectable;
  RELAIS_CO_TRY(auto made, co_await import_.create(account_, std::move(wanted)));
  co_return target_of(std::move(made));
}

net::Task<void> StoreTarget::append(const TargetMailbox& mailbox, std::vector<Message> messages) {
  std::vector<storage::ImportedMessage> imported;
  imported.reserve(messages.size());
  std::uint64_t prepared = 0;
  for (auto& message : messages) {
    storage::ImportedMessage one;
    RELAIS_CO_TRY(one.message, co_await store_.prepare(message.octets));
    one.uid = message.about.uid;
    one.system_flags = message.about.system_flags;
    one.keywords = std::move(message.about.keywords);
    one.internal_date = message.about.internal_date.value_or(0);
    one.internal_zone = message.about.internal_zone;
    one.mod_seq = dictated(message.about.mod_seq);
    imported.push_back(std::move(one));
    prepared += message.octets.size();
    if (prepared < kPreparedAtOnce) continue;
    prepared = 0;
    co_await net::asio::post(co_await net::asio::this_coro::executor, net::asio::use_awaitable);
  }
  co_return co_await import_.append(account_, id_of(mailbox), std::move(imported));
}

net::Task<void> StoreTarget::set_flags(const TargetMailbox& mailbox, std::vector<SourceMessage> messages) {
  std::vector<storage::ImposedState> states;
  states.reserve(messages.size());
  for (auto& message : messages) {
    states.push_back({.uid = message.uid,
                      .system_flags = message.system_flags,
                      .keywords = std::move(message.keywords),
                      .mod_seq = dictated(message.mod_seq)});
  }
  co_return co_await import_.impose(account_, id_of(mailbox), std::move(states));
}

net::Task<void> StoreTarget::set_counters(const TargetMailbox& mailbox, Uid uid_next, ModSeq highest_mod_seq) {
  storage::ImportedCounters counters;
  counters.uid_next = uid_next;
  counters.highest_mod_seq = counters.tombstone_floor = dictated(highest_mod_seq);
  co_return co_await import_.set_counters(account_, id_of(mailbox), counters);
}

net::Task<std::vector<SourceMessage>> StoreTarget::fetch(const TargetMailbox& mailbox, std::uint32_t fields,
                                                         std::optional<NumberSet> some) {
  RELAIS_CO_TRY(const auto view, co_await import_.open(account_, id_of(mailbox)));
  const auto uids = some ? view.uids.intersect(*some) : view.uids;
  std::vector<SourceMessage> out;
  out.reserve(uids.count());
  storage::FetchBatch batch;
  storage::FetchRequest request{.uids = &uids, .fields = fields};
  while (request.first != 0) {
    RELAIS_CO_TRY_VOID(co_await import_.fetch(account_, id_of(mailbox), request, batch));
    for (const auto& message : batch.messages) {
      auto& one = out.emplace_back();
      one.uid = message.uid;
      one.system_flags = message.flags & storage::kSystemFlags;
      one.keywords = keywords_of(message.flags, view.info.keywords);
      one.mod_seq = message.mod_seq;
      one.size = message.size;
      if ((fields & storage::kFetchMeta) == 0) continue;
      one.internal_date = message.internal_date;
      one.internal_zone = message.internal_zone;
    }
    request.first = batch.next;
  }
  co_return out;
}

net::Task<std::vector<TargetDigest>> StoreTarget::digests(const TargetMailbox& mailbox, NumberSet uids) {
  RELAIS_CO_TRY(const auto found, co_await import_.digests(account_, id_of(mailbox), std::move(uids)));
  std::vector<TargetDigest> out;
  out.reserve(found.size());
  for (const auto& one : found) out.push_back({one.uid, one.size, one.sha256});
  co_return out;
}

}  // namespace

std::unique_ptr<Target> make_store_target(storage::Store& store, storage::Import& import, storage::AccountRef account) {
  return std::make_unique<StoreTarget>(store, import, account);
}

}  // namespace relais::migrate
