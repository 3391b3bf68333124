// What moves work with, put together.
#include "admin/migration.h"

#include "admin/layout.h"
#include "base/log.h"
#include "migrate/inventory.h"
#include "migrate/store_target.h"
#include "storage/engine/lmdb_engine.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <unistd.h>

namespace relais::admin {
namespace {

using directory::AccountNumber;

std::unexpected<Error> not_running() { return fail(Fault::temporary, "accounts are moved by a running platform: relais serve"); }

Result<std::unique_ptr<storage::Engine>> open_engine(const config::Values& settings, const std::filesystem::path& dir,
                                                     net::WorkerPool& workers) {
  auto options = engine_options(settings);
  options.path = Layout(dir).migrate();
  options.pool = &workers;
  return storage::open_lmdb_engine(std::move(options));
}

std::uint16_t minute_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return static_cast<std::uint16_t>(local.tm_hour * 60 + local.tm_min);
}

/// For tests that end the process at a named instant of a move.
std::function<void(std::string_view)> crash_point() {
  const char* name = std::getenv("RELAIS_CRASH_POINT");
  if (name == nullptr || *name == '\0') return {};
  return [wanted = std::string(name)](std::string_view point) {
    if (point == wanted) ::kill(::getpid(), SIGKILL);
  };
}

class Moving final : public migrate::Movable {
 public:
  Moving(const migrate::MoveServices& services, const migrate::MoveOptions& options, AccountNumber account, net::Loop& loop)
      : move_(services, options, account, loop) {}
  net::Task<Outcome> run(std::function<migrate::MovePermission()> allowed,
                         std::function<void(const migrate::StageRecord&)> changed) override {
    auto permission = [allowed = std::move(allowed)] {
      const auto may = allowed();
      return migrate::AccountMove::Permission{.copy = may.copy, .cut_over = may.cut_over};
    };
    RELAIS_CO_TRY(auto outcome, co_await move_.run(std::move(permission), std::move(changed)));
    co_return Outcome{std::move(outcome.stage), outcome.next};
  }
  void stop() noexcept override { move_.stop(); }

 private:
  migrate::AccountMove move_;
};

}  // namespace

// ---- on the data

MovesOnData::~MovesOnData() {
  if (journal_) journal_->close();
}

bool MovesOnData::any() const { return journal_ || std::filesystem::exists(Layout(dir_).migrate()); }

net::Task<migrate::Journal*> MovesOnData::journal() {
  if (!journal_) {
    RELAIS_CO_TRY(auto engine, open_engine(settings_, dir_, workers_));
    RELAIS_CO_TRY(journal_, co_await migrate::Journal::open(std::move(engine)));
  }
  co_return journal_.get();
}

net::Task<MoveAccess::Running> MovesOnData::running() { co_return not_running(); }

// ---- of the running platform

Migration::Migration(const config::Values& settings, std::filesystem::path dir, MigrationParts parts)
    : settings_(settings), dir_(std::move(dir)), parts_(parts), options_(move_options(settings)) {
  services_.directory = &parts_.directory;
  services_.gate = &parts_.gate;
  services_.import = &parts_.store.importer();
  services_.crash_point = crash_point();
  services_.open = [this](directory::Located account, storage::ShardNumber shard, net::Loop& loop) {
    return open_ends(std::move(account), shard, loop);
  };
  // Mail that waits is tried by MailOut, which hears of placements.
}

Migration::~Migration() = default;

net::Task<std::unique_ptr<migrate::MoveEnds>> Migration::open_ends(directory::Located account, storage::ShardNumber shard,
                                                                   net::Loop& loop) {
  RELAIS_CO_TRY(const auto platform, co_await parts_.directory.platform(account.platform()));
  if (!platform) co_return fail(Fault::refused, "there is no platform '" + account.platform() + "' any more", "NONEXISTENT");
  auto user = legacy_user(*platform, account.origin, account.account.address);
  std::vector<std::unique_ptr<migrate::Source>> sources;
  RELAIS_CO_TRY(auto source, co_await migrate::open_as_master(parts_.hosts, *platform, std::move(user), loop));
  sources.push_back(std::move(source));
  const storage::AccountRef target{storage::AccountId{account.account.number}, shard};
  co_return migrate::make_move_ends(std::move(sources), migrate::make_store_target(parts_.store, parts_.store.importer(), target));
}

net::Task<void> Migration::open_journal() {
  RELAIS_CO_TRY(auto engine, open_engine(settings_, dir_, parts_.workers));
  RELAIS_CO_TRY(auto journal, co_await migrate::Journal::open(std::move(engine)));
  journal_ = std::move(journal);
  services_.journal = journal_.get();
  {
    const std::lock_guard lock(use_mutex_);
    use_log_ = std::make_unique<migrate::UseLog>(*journal_, system_clock());
    known_ = journal_.get();
  }
  auto& home = loops_->at(0);
  runner_ = std::make_unique<migrate::Runner>(
      migrate::RunnerParts{
          .journal = journal_.get(),
          .home = &home,
          .loops = loops_,
          .make = [this](AccountNumber account, net::Loop& loop) { return std::make_unique<Moving>(services_, options_, account, loop); },
          .minute_of_day = minute_of_day},
      migrate::RunnerOptions{.at_once = static_cast<std::uint32_t>(settings_.integer("migrate.at_once"))});
  co_return Result<void>{};
}

void Migration::open(net::LoopPool& loops) {
  loops_ = &loops;
  parts_.gate.watch([this](AccountNumber account, directory::GuestKind kind) { used(account, kind); });
  if (!std::filesystem::exists(Layout(dir_).migrate())) return;
  const auto work = [this]() -> net::Task<migrate::Recovered> {
    RELAIS_CO_TRY_VOID(co_await open_journal());
    co_return co_await migrate::recover(services_);
  };
  const auto recovered = net::asio::co_spawn(loops.at(0).executor(), work(), net::asio::use_future).get();
  if (!recovered)
    log::event(log::Level::error, journal_ ? "freezes not ended" : "no journal of moves",
               {{"reason", recovered.error().text}, {"detail", recovered.error().detail}});
  else if (recovered->released + recovered->completed + recovered->waiting > 0)
    log::event(log::Level::warning, "freezes ended",
               {{"released", recovered->released}, {"completed", recovered->completed}, {"waiting", recovered->waiting}});
}

void Migration::start() {
  // On the loop: a session may just be having the journal made.
  const auto work = [this]() -> net::Task<void> {
    if (!runner_ || std::exchange(started_, true)) co_return Result<void>{};
    co_return co_await runner_->start();
  };
  if (const auto started = net::asio::co_spawn(loops_->at(0).executor(), work(), net::asio::use_future).get(); !started)
    log::event(log::Level::error, "moves not taken up", {{"reason", started.error().text}, {"detail", started.error().detail}});
}

void Migration::stop() {
  const auto work = [this]() -> net::asio::awaitable<void> {
    stopping_ = true;
    if (runner_) runner_->stop();
    co_return;
  };
  net::asio::co_spawn(loops_->at(0).executor(), work(), net::asio::use_future).get();
}

bool Migration::await_stopped(std::chrono::milliseconds limit) { return !runner_ || runner_->await_stopped(limit); }

void Migration::end() {
  if (runner_) journal_->close();
  runner_.reset();
}

bool Migration::moves_soon(AccountNumber account) {
  const migrate::Journal* known = nullptr;
  {
    const std::lock_guard lock(use_mutex_);
    known = known_;
  }
  if (known == nullptr) return false;
  const auto stage = known->stage(account);
  return stage && *stage && ((*stage)->stage == migrate::Stage::copying || (*stage)->stage == migrate::Stage::tailing);
}

bool Migration::any() const { return journal_ || std::filesystem::exists(Layout(dir_).migrate()); }

// Made when it is first needed: a platform that nobody is moved to has none.
net::Task<void> Migration::open_once() {
  auto opened = co_await open_journal();
  if (opened && !std::exchange(started_, true)) opened = co_await runner_->start();
  opening_ = false;
  for (auto& waiter : std::exchange(waiting_, {})) std::move(waiter).resume(true);
  co_return opened;
}

net::Task<migrate::Journal*> Migration::journal() {
  while (opening_) co_await net::suspended<bool>([this](net::Completion<bool> waiter) { waiting_.push_back(std::move(waiter)); });
  if (!journal_ && stopping_) co_return fail(Fault::temporary, "the platform is stopping");
  if (!journal_) {
    opening_ = true;
    RELAIS_CO_TRY_VOID(co_await open_once());
  }
  co_return journal_.get();
}

net::Task<MoveAccess::Running> Migration::running() {
  RELAIS_CO_TRY_VOID(co_await journal());
  co_return Running{runner_.get(), &services_};
}

// ---- who uses which protocol

// A POP3 client's UIDLs are not carried yet: an account that is used by POP3 is not switched, so its first session is written down at once.
void Migration::used(AccountNumber account, directory::GuestKind kind) {
  if (kind != directory::GuestKind::pop_relay && kind != directory::GuestKind::imap_relay) return;
  {
    const std::lock_guard lock(use_mutex_);
    if (use_log_)
      use_log_->note(account, kind);
    else
      early_.emplace_back(account, kind);
    if (std::exchange(writing_, true)) return;
  }
  net::asio::co_spawn(loops_->at(0).context(), write_use(), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

net::asio::awaitable<void> Migration::write_use() {
  auto written = Result<void>{};
  const auto opened = co_await journal();
  migrate::UseLog* uses = nullptr;
  {
    const std::lock_guard lock(use_mutex_);
    writing_ = false;  // who comes from here on is written by the next one
    if (opened) {
      for (const auto& [account, kind] : std::exchange(early_, {})) use_log_->note(account, kind);
      uses = use_log_.get();
    }
  }
  if (opened)
    written = co_await uses->flush();
  else
    written = fail(opened.error());
  if (!written)
    log::event(log::Level::error, "use of accounts not recorded", {{"reason", written.error().text}, {"detail", written.error().detail}});
}

}  // namespace relais::admin
