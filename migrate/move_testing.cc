// Mail as a model at both ends of a move.
#include "migrate/move_testing.h"

#include "base/check.h"

namespace relais::migrate::testing {

using directory::Placement;
using storage::AccountState;

// ---- mail

Mail::Mailboxes Mail::all() const {
  const std::lock_guard lock(mutex_);
  return mailboxes_;
}

void Mail::set(Mailboxes all) {
  const std::lock_guard lock(mutex_);
  mailboxes_ = std::move(all);
}

Uid Mail::append(const std::string& mailbox, std::string text) {
  const std::lock_guard lock(mutex_);
  auto& messages = mailboxes_[mailbox];
  const Uid uid = messages.empty() ? 1 : messages.rbegin()->first + 1;
  messages[uid] = std::move(text);
  return uid;
}

void Mail::erase(const std::string& mailbox, Uid uid) {
  const std::lock_guard lock(mutex_);
  mailboxes_[mailbox].erase(uid);
}

void Mail::edit(const std::function<void(Mailboxes&)>& change) {
  const std::lock_guard lock(mutex_);
  change(mailboxes_);
}

// ---- the shard

net::Task<void> ModelShard::set_state(storage::AccountRef, AccountState expected, AccountState state) {
  if (fail_states > 0) {
    --fail_states;
    co_return fail(Fault::temporary, "no room", "STORAGE_FULL");
  }
  const std::lock_guard lock(mutex_);
  if (state_ == state) co_return Result<void>{};
  if (state_ != expected) co_return fail(Fault::refused, "another state", "STATE");
  state_ = state;
  co_return Result<void>{};
}

net::Task<AccountState> ModelShard::state(storage::AccountRef) { co_return now(); }

net::Task<std::vector<storage::MailboxInfo>> ModelShard::list(storage::AccountRef) {
  std::vector<storage::MailboxInfo> all;
  for (const auto& [name, messages] : mail.all()) {
    auto& mailbox = all.emplace_back();
    mailbox.name = name;
    mailbox.uid_next = messages.empty() ? 1 : messages.rbegin()->first + 1;
    mailbox.messages = static_cast<std::uint32_t>(messages.size());
  }
  co_return all;
}

namespace {
std::unexpected<Error> not_modelled() { return fail(Fault::refused, "not modelled"); }
}  // namespace

net::Task<storage::MailboxView> ModelShard::open(storage::AccountRef, storage::MailboxId) { co_return not_modelled(); }
net::Task<void> ModelShard::fetch(storage::AccountRef, storage::MailboxId, storage::FetchRequest, storage::FetchBatch&) {
  co_return not_modelled();
}
net::Task<storage::MailboxInfo> ModelShard::create(storage::AccountRef, storage::ImportedMailbox) { co_return not_modelled(); }
net::Task<void> ModelShard::rename(storage::AccountRef, storage::MailboxId, std::string) { co_return not_modelled(); }
net::Task<void> ModelShard::remove(storage::AccountRef, storage::MailboxId) { co_return not_modelled(); }
net::Task<void> ModelShard::set_subscriptions(storage::AccountRef, std::vector<std::string>) { co_return not_modelled(); }
net::Task<void> ModelShard::append(storage::AccountRef, storage::MailboxId, std::vector<storage::ImportedMessage>) {
  co_return not_modelled();
}
net::Task<void> ModelShard::impose(storage::AccountRef, storage::MailboxId, std::vector<storage::ImposedState>) {
  co_return not_modelled();
}
net::Task<void> ModelShard::expunge(storage::AccountRef, storage::MailboxId, NumberSet, storage::ModSeq) { co_return not_modelled(); }
net::Task<void> ModelShard::set_counters(storage::AccountRef, storage::MailboxId, storage::ImportedCounters) { co_return not_modelled(); }
net::Task<std::vector<storage::Attribute>> ModelShard::attributes(storage::AccountRef, std::optional<storage::MailboxId>) {
  co_return not_modelled();
}
net::Task<void> ModelShard::set_attributes(storage::AccountRef, std::optional<storage::MailboxId>, std::vector<storage::Attribute>) {
  co_return not_modelled();
}
net::Task<storage::PreparedPtr> ModelShard::take(storage::AccountRef, storage::MailboxId, Uid) { co_return not_modelled(); }
net::Task<std::vector<storage::ContentDigest>> ModelShard::digests(storage::AccountRef, storage::MailboxId, NumberSet) {
  co_return not_modelled();
}

Result<void> ModelShard::import(const std::string& mailbox, std::optional<Mail::Mailbox> content) {
  const std::lock_guard lock(mutex_);
  if (state_ != AccountState::importing) return fail(Fault::refused, "not importing", "STATE");
  mail.edit([&](Mail::Mailboxes& all) {
    if (content)
      all[mailbox] = std::move(*content);
    else
      all.erase(mailbox);
  });
  return {};
}

Result<Uid> ModelShard::deliver(const std::string& mailbox, std::string text) {
  const std::lock_guard lock(mutex_);
  if (state_ != AccountState::open) return fail(Fault::temporary, "on the move", "MOVED");
  return mail.append(mailbox, std::move(text));
}

AccountState ModelShard::now() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

// ---- the ends

namespace {

/// What is in one of the two and not the same in the other.
NumberSet changed(const Mail::Mailbox& now, const Mail::Mailboxes& all, const std::string& name) {
  const auto before = all.find(name);
  NumberSet uids;
  for (const auto& [uid, text] : now) {
    const auto same = before == all.end() ? now.end() : before->second.find(uid);
    if (before == all.end() || same == before->second.end() || same->second != text) uids.add(uid);
  }
  if (before == all.end()) return uids;
  for (const auto& [uid, text] : before->second) {
    if (!now.contains(uid)) uids.add(uid);
  }
  return uids;
}

class ModelEnds final : public MoveEnds {
 public:
  ModelEnds(Mail& source, ModelShard& shard, Script& script) : source_(source), shard_(shard), script_(script) {}

  net::Task<SourceListing> list() override {
    SourceListing listing;
    listing.names = {.separator = '.', .prefix = "INBOX."};
    co_return listing;
  }

  net::Task<PassFigures> pass(Cursors& cursors, const MirrorRules& rules, const MirrorEvents& events) override {
    ++script_.passes;
    if (script_.before_pass) RELAIS_CO_TRY_VOID(co_await script_.before_pass(rules.frozen));
    PassFigures figures;
    for (const auto& finding : script_.findings) events.finding(finding);
    const auto there = source_.all();
    for (const auto& [name, content] : there) {
      ++figures.mailboxes;
      const bool anew = std::ranges::find(rules.anew, name) != rules.anew.end();
      if (script_.hopeless.contains(name) || (script_.unseen.contains(name) && !anew && cursors.contains(name))) continue;
      const SourceMailbox mailbox{.wire = name, .name = name};
      if (anew) {
        RELAIS_CO_TRY_VOID(co_await events.in_step(mailbox, {}, {}));
        RELAIS_CO_TRY_VOID(shard_.import(name, Mail::Mailbox{}));
      }
      const auto here = shard_.mail.all();
      if (const auto same = here.find(name); same != here.end() && same->second == content && cursors.contains(name)) continue;
      if (events.budget && !rules.frozen) RELAIS_CO_TRY_VOID(co_await events.budget(content.size(), content.size()));
      RELAIS_CO_TRY_VOID(shard_.import(name, content));
      if (events.written) events.written(name, changed(content, here, name));
      figures.appended += content.size();
      if (events.progress) events.progress(figures);
      const Cursor cursor{.uid_validity = 1,
                          .uid_next = content.empty() ? 1 : content.rbegin()->first + 1,
                          .messages = static_cast<std::uint32_t>(content.size())};
      cursors[name] = cursor;
      RELAIS_CO_TRY_VOID(co_await events.in_step(mailbox, {}, cursor));
    }
    const auto here = shard_.mail.all();
    for (const auto& [name, content] : here) {
      if (there.contains(name)) continue;
      RELAIS_CO_TRY_VOID(shard_.import(name, std::nullopt));
      cursors.erase(name);
      RELAIS_CO_TRY_VOID(co_await events.gone(name));
    }
    co_return figures;
  }

  net::Task<std::vector<Finding>> verify(VerifyRules rules) override {
    if (script_.before_verify) RELAIS_CO_TRY_VOID(co_await script_.before_verify());
    script_.asked = rules;
    if (rules.only.empty() && rules.depth != VerifyDepth::counters) ++script_.verified;
    std::vector<Finding> found;
    const auto there = source_.all();
    const auto here = shard_.mail.all();
    for (const auto& [name, content] : there) {
      const auto copy = here.find(name);
      const bool closely =
          rules.depth != VerifyDepth::counters && (rules.only.empty() || std::ranges::find(rules.only, name) != rules.only.end());
      if (copy == here.end())
        found.push_back({.code = "mailbox-missing", .weight = Weight::red, .mailbox = name});
      else if (copy->second.size() != content.size())
        found.push_back({.code = "count-differs", .weight = Weight::red, .mailbox = name});
      else if (closely && copy->second != content)
        found.push_back({.code = "flags-differ", .weight = Weight::red, .mailbox = name, .uid = 1});
    }
    for (const auto& [name, content] : here) {
      if (!there.contains(name)) found.push_back({.code = "mailbox-extra", .weight = Weight::red, .mailbox = name});
    }
    co_return found;
  }

  net::asio::awaitable<void> close() override { co_return; }

 private:
  Mail& source_;
  ModelShard& shard_;
  Script& script_;
};

}  // namespace

std::unique_ptr<MoveEnds> make_model_ends(Mail& source, ModelShard& shard, Script& script) {
  return std::make_unique<ModelEnds>(source, shard, script);
}

// ---- the directory

net::Task<std::optional<directory::Located>> FaultyMoves::located(AccountNumber account) {
  if (unreadable) co_return fail(relais::Fault::temporary, "directory unavailable");
  co_return co_await real_.located(account);
}

net::Task<Placement> FaultyMoves::change_placement(AccountNumber account, std::uint64_t expected_epoch, Placement next) {
  const auto what = fault ? fault(next) : Fault::none;
  if (what == Fault::unwritten) co_return fail(relais::Fault::temporary, "directory unavailable", "STORAGE_FULL");
  auto changed = co_await real_.change_placement(account, expected_epoch, std::move(next));
  if (what == Fault::lost_reply) co_return fail(relais::Fault::temporary, "directory unavailable", "READ_ONLY");
  co_return changed;
}

// ---- all of it

MoveWorld::MoveWorld() : directory({.shards = 2}) {
  RELAIS_CHECK(directory.run(directory->add_domain("example.org")));
  directory::LegacyPlatform old{.name = "old", .imap = {.host = "imap.old.example", .port = 143}};
  RELAIS_CHECK(directory.run(directory->set_platform(std::move(old))));
  ann = directory.run(directory->add_legacy_account({.address = "ann@example.org", .origin = {.platform = "old"}})).value();
  auto made = storage::make_memory_engine();
  engine = made.get();
  journal = run(Journal::open(std::move(made))).value();
  services.directory = &moves;
  services.gate = &gate;
  services.import = &shard;
  services.journal = journal.get();
  services.clock = &clock;
  services.open = [this](directory::Located, storage::ShardNumber, net::Loop&) -> net::Task<std::unique_ptr<MoveEnds>> {
    ++script.opened;
    if (script.on_open) RELAIS_CO_TRY_VOID(script.on_open());
    co_return make_model_ends(source, shard, script);
  };
  services.release_mail = [this](AccountNumber) { ++mail_released; };
  services.crash_point = [this](std::string_view point) { points.emplace_back(point); };
  options.freeze_limit = std::chrono::hours(1);
  options.quiet_wait = std::chrono::hours(1);
  options.long_command = std::chrono::hours(1);
  options.small_time = std::chrono::hours(1);
  options.write_again = std::chrono::milliseconds(1);
  options.shortest_pause = std::chrono::seconds(0);
  options.longest_pause = std::chrono::seconds(0);
  source.set({{"INBOX", {{1, "one"}, {2, "two"}}}, {"Sent", {{7, "seven"}}}});
}

MoveWorld::~MoveWorld() = default;

Result<AccountMove::Outcome> MoveWorld::move(AccountMove::Permission permission, int most) {
  // The mover's object lives and dies on its loop.
  auto driven = [](MoveWorld& world, AccountMove::Permission allowed, int times) -> net::Task<AccountMove::Outcome> {
    AccountMove move(world.services, world.options, world.ann.number, world.loop());
    while (true) {
      RELAIS_CO_TRY(auto outcome, co_await move.run([allowed] { return allowed; }, {}));
      if (--times <= 0 || outcome.next > std::chrono::steady_clock::now()) co_return outcome;
    }
  };
  auto outcome = run(driven(*this, permission, most));
  // What guests are told is on its way on their loop, which is the mover's here: before this.
  run([]() -> net::asio::awaitable<bool> { co_return true; }());
  return outcome;
}

Placement MoveWorld::placement() { return directory.run(directory->find_number(ann.number)).value()->placement; }

std::vector<std::string> MoveWorld::findings() const {
  std::vector<std::string> codes;
  for (const auto& finding : journal->account(ann.number).value().findings) codes.push_back(finding.code);
  return codes;
}

}  // namespace relais::migrate::testing
