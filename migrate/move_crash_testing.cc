// A platform on disk with one account, for the crash test of moves.
#include "migrate/move_crash_testing.h"

#include "base/check.h"

namespace relais::migrate::testing {
namespace {

constexpr std::uint32_t kUidValidity = 1'700'000'000;
constexpr std::int64_t kDate = 1'600'000'000;

std::string octets_of(const std::string& text) {
  const auto flagged = text.ends_with('!');
  return "Subject: test\r\n\r\n" + text.substr(0, text.size() - (flagged ? 1 : 0)) + "\r\n";
}

class MailSource final : public Source {
 public:
  explicit MailSource(const Mail& mail) : mail_(mail) {}

  const SourceTraits& traits() const noexcept override { return traits_; }

  net::Task<SourceListing> list() override {
    SourceListing listing;
    listing.names = {.separator = '.', .prefix = "INBOX."};
    for (const auto& [name, messages] : mail_.all()) {
      SourceMailbox mailbox{.wire = name == "INBOX" ? name : "INBOX." + name, .name = name, .subscribed = true};
      mailbox.state = state_of(messages);
      listing.mailboxes.push_back(std::move(mailbox));
      listing.subscriptions.push_back(name);
    }
    co_return listing;
  }

  net::Task<SourceChanges> changes(const SourceMailbox& mailbox, Cursor since, const NumberSet&) override {
    const auto messages = mail_.all()[mailbox.name];
    SourceChanges changes;
    changes.state = state_of(messages);
    changes.restarted = since.uid_validity != kUidValidity;
    changes.changed = about(messages);
    changes.all.emplace();
    for (const auto& [uid, text] : messages) changes.all->add(uid);
    co_return changes;
  }

  net::Task<void> messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) override {
    const auto messages = mail_.all()[mailbox.name];
    for (const auto& [uid, text] : messages) {
      if (!uids.contains(uid)) continue;
      const auto octets = octets_of(text);
      RELAIS_CO_TRY_VOID(co_await receiver.take({.about = about_one(uid, text), .octets = octets}));
    }
    co_return Result<void>{};
  }

  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox) override { co_return about(mail_.all()[mailbox.name]); }
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox, NumberSet uids) override {
    auto all = about(mail_.all()[mailbox.name]);
    std::erase_if(all, [&uids](const SourceMessage& message) { return !uids.contains(message.uid); });
    co_return all;
  }
  net::Task<SourceExtras> extras(const SourceListing&) override { co_return SourceExtras{}; }
  net::Task<void> wait(net::Deadline) override { co_return Result<void>{}; }
  std::chrono::microseconds round_trip() const noexcept override { return {}; }
  net::asio::awaitable<void> close() override { co_return; }

 private:
  static Cursor state_of(const Mail::Mailbox& messages) {
    return {.uid_validity = kUidValidity,
            .uid_next = messages.empty() ? 1 : messages.rbegin()->first + 1,
            .messages = static_cast<std::uint32_t>(messages.size())};
  }
  static SourceMessage about_one(Uid uid, const std::string& text) {
    SourceMessage message;
    message.uid = uid;
    message.system_flags = text.ends_with('!') ? storage::kFlagged : storage::FlagBits{};
    message.size = octets_of(text).size();
    message.internal_date = kDate + uid;
    return message;
  }
  static std::vector<SourceMessage> about(const Mail::Mailbox& messages) {
    std::vector<SourceMessage> all;
    for (const auto& [uid, text] : messages) all.push_back(about_one(uid, text));
    return all;
  }

  const Mail& mail_;
  const SourceTraits traits_{.described = "model"};
};

}  // namespace

std::unique_ptr<Source> make_mail_source(const Mail& mail) { return std::make_unique<MailSource>(mail); }

CrashWorld::CrashWorld(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  loops.start();
  directory =
      directory::open_lmdb_directory(
          workers, {.path = (folder / "directory").string(), .shards = 2, .cost = directory::kTestCost, .map_size = std::size_t{1} << 28U})
          .value();
  storage::LmdbOptions engine{.path = folder, .pool = &workers, .map_size = std::uint64_t{1} << 28U, .min_free = 0};
  store = storage::open_store({.path = folder, .shards = 2, .pool = &workers, .engine = engine}).value();
  engine.path = folder / "migrate";
  journal = run(Journal::open(storage::open_lmdb_engine(engine).value())).value();
  gate = std::make_unique<directory::PlacementGate>(*directory);
  if (const auto there = run(directory->find("ann@example.org")).value()) {
    ann = *there;
  } else {
    RELAIS_CHECK(run(directory->add_domain("example.org")));
    RELAIS_CHECK(run(directory->set_platform({.name = "old", .imap = {.host = "imap.old.example", .port = 143}})));
    ann = run(directory->add_legacy_account({.address = "ann@example.org", .origin = {.platform = "old"}})).value();
  }
  services.directory = directory.get();
  services.gate = gate.get();
  services.import = &store->importer();
  services.journal = journal.get();
  services.open = [this](directory::Located, storage::ShardNumber shard, net::Loop&) -> net::Task<std::unique_ptr<MoveEnds>> {
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(make_mail_source(source));
    const storage::AccountRef account{storage::AccountId{ann.number}, shard};
    co_return make_move_ends(std::move(sources), make_store_target(*store, store->importer(), account));
  };
  options.freeze_limit = std::chrono::hours(1);
  options.shortest_pause = options.longest_pause = std::chrono::seconds(0);
  options.first_retry = std::chrono::seconds(0);
  options.small_time = std::chrono::hours(1);
}

Mail::Mailboxes CrashWorld::mail() {
  auto read = [](CrashWorld& w) -> net::Task<Mail::Mailboxes> {
    Mail::Mailboxes all;
    auto& import = w.store->importer();
    RELAIS_CO_TRY(const auto mailboxes, co_await import.list(w.target()));
    for (const auto& mailbox : mailboxes) {
      if (!mailbox.selectable) continue;
      auto& messages = all[mailbox.name];
      RELAIS_CO_TRY(const auto view, co_await import.open(w.target(), mailbox.id));
      storage::FetchRequest request;
      request.uids = &view.uids;
      request.fields = storage::kFetchContent;
      storage::FetchBatch batch;
      while (request.first != 0) {
        RELAIS_CO_TRY_VOID(co_await import.fetch(w.target(), mailbox.id, request, batch));
        for (const auto& message : batch.messages) {
          auto text = std::string(message.content);
          text = text.substr(text.find("\r\n\r\n") + 4);
          text.resize(text.size() - 2);
          messages[message.uid] = text + ((message.flags & storage::kFlagged) != 0 ? "!" : "");
        }
        request.first = batch.next;
      }
    }
    co_return all;
  };
  return run(read(*this)).value();
}

}  // namespace relais::migrate::testing
