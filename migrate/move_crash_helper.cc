// The process that the crash test of moves ends at a named point: starts as the platform does, and moves the account on.
#include "migrate/move_crash_testing.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace relais::migrate::testing {
namespace {

/// Ends whose verifications fail, as long as they are told to.
class FailingEnds final : public MoveEnds {
 public:
  FailingEnds(std::unique_ptr<MoveEnds> real, const bool& frozen) : real_(std::move(real)), frozen_(frozen) {}
  net::Task<SourceListing> list() override { return real_->list(); }
  net::Task<PassFigures> pass(Cursors& cursors, const MirrorRules& rules, const MirrorEvents& events) override {
    return real_->pass(cursors, rules, events);
  }
  net::Task<std::vector<Finding>> verify(VerifyRules rules) override {
    if (frozen_) co_return fail(Fault::temporary, "the source has gone away");
    co_return co_await real_->verify(std::move(rules));
  }
  net::asio::awaitable<void> close() override { return real_->close(); }

 private:
  std::unique_ptr<MoveEnds> real_;
  const bool& frozen_;
};

int run(const char* folder, std::string_view point, int round, bool release) {
  CrashWorld w(folder);
  w.source.set(crash_mail(round));
  bool frozen = false;
  w.services.crash_point = [&](std::string_view at) {
    if (at == "cutover.drained") frozen = release;
    if (at == point) ::_exit(kCrashed);
  };
  if (release) {
    w.services.open = [&frozen, open = w.services.open](directory::Located account, storage::ShardNumber shard,
                                                        net::Loop& loop) -> net::Task<std::unique_ptr<MoveEnds>> {
      RELAIS_CO_TRY(auto real, co_await open(std::move(account), shard, loop));
      co_return std::make_unique<FailingEnds>(std::move(real), frozen);
    };
  }
  const auto recovered = w.run(recover(w.services));
  if (!recovered || recovered->waiting != 0) return 2;
  if (!w.stage() && !w.run(plan_move(w.services, w.ann.number, {.shard = kCrashShard, .consents = kNoWayBack}))) return 3;
  auto drive = [](CrashWorld& world, bool once) -> net::Task<AccountMove::Outcome> {
    AccountMove move(world.services, world.options, world.ann.number, world.loops.at(0));
    for (int times = 0;; ++times) {
      RELAIS_CO_TRY(auto outcome, co_await move.run([] { return AccountMove::Permission{.copy = true, .cut_over = true}; }, {}));
      if (times > 20 || (once && outcome.stage.attempts > 0) || outcome.next > std::chrono::steady_clock::now()) co_return outcome;
    }
  };
  const auto outcome = w.run(drive(w, release));
  if (!outcome) {
    std::fprintf(stderr, "%s %s\n", outcome.error().text.c_str(), outcome.error().detail.c_str());
    return 4;
  }
  if (release && outcome->stage.attempts > 0) return kReleased;
  if (outcome->stage.stage == Stage::native) return 0;
  std::fprintf(stderr, "ended in stage %s: %s\n", std::string(to_string(outcome->stage.stage)).c_str(), outcome->stage.error.c_str());
  return 5;
}

}  // namespace
}  // namespace relais::migrate::testing

int main(int argc, char** argv) {
  if (argc != 5) return 1;
  return relais::migrate::testing::run(argv[1], argv[2], std::atoi(argv[3]), std::string_view(argv[4]) == "release");
}
