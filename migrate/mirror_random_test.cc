// Passes over an account that changes at random, before and while they run, with faults anywhere: in the end the copy is the account.
#include "migrate/mirror.h"
#include "migrate/testing.h"
#include "migrate/verify.h"
#include "storage/model/testing.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

namespace relais::migrate {
namespace {

using storage::testing::await;
using testing::MemoryServer;
using testing::MemorySource;
using testing::MemoryTarget;
using Kind = MemoryServer::Kind;

/// What a restart finds.
struct Journal {
  Cursors cursors{};
};

struct World {
  explicit World(Kind kind, std::uint32_t seed) : engine(seed), server(kind), clients(server, engine) {
    rules.batch_messages = 1 + below(6);
    rules.batch_octets = 20 + below(200);
    rules.large_mailbox = 5;
    events.finding = [this](Finding finding) { findings.push_back(std::move(finding)); };
    events.postponed = [this](const SourceMailbox&, const Error&) { ++postponed; };
    events.in_step = [this](const SourceMailbox& mailbox, const TargetMailbox&, Cursor cursor) -> net::Task<void> {
      co_return write([&] { journal.cursors.insert_or_assign(mailbox.wire, cursor); });
    };
    events.gone = [this](std::string wire) -> net::Task<void> { co_return write([&] { journal.cursors.erase(wire); }); };
    events.budget = [this](std::uint64_t, std::uint64_t) -> net::Task<void> { co_return fault("budget"); };
  }

  std::uint32_t below(std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(engine); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

  /// One step of a source, the target, the journal: clients may act, and it may fail.
  Result<void> fault(std::string_view) {
    ++steps;
    if (steps == fail_at) return fail(Fault::temporary, "injected");
    if (faulty != 0 && one_in(faulty)) return fail(Fault::temporary, "injected");
    return {};
  }
  Result<void> step(std::string_view what) {
    while (busy != 0 && one_in(busy)) clients.act();
    return fault(what);
  }
  template <class F>
  Result<void> write(F change) {
    RELAIS_TRY_VOID(fault("journal"));
    change();
    return fault("journal done");
  }

  Result<PassFigures> pass(std::size_t count = 1) {
    findings.clear();
    postponed = 0;
    auto cursors = journal.cursors;
    std::vector<std::unique_ptr<MemorySource>> sources;
    std::vector<Source*> given;
    for (std::size_t i = 0; i < count; ++i) {
      sources.push_back(std::make_unique<MemorySource>(server, [this](std::string_view what) { return step(what); }));
      given.push_back(sources.back().get());
    }
    auto done = await(mirror_pass(given, target, cursors, rules, events));
    if (done) {
      EXPECT_EQ(cursors.size(), journal.cursors.size());
      for (const auto& [wire, cursor] : cursors) EXPECT_EQ(journal.cursors[wire], cursor) << wire;
    }
    return done;
  }

  /// Nothing changes and nothing fails any more.
  void settle() {
    busy = faulty = 0;
    fail_at = 0;
    const auto done = pass();
    ASSERT_TRUE(done) << done.error().text << " " << done.error().detail;
    ASSERT_EQ(postponed, 0U);
    ASSERT_EQ(testing::difference(as_carried(), target.mailboxes), "");
    ASSERT_EQ(std::vector<std::string>(server.subscriptions.begin(), server.subscriptions.end()), target.subscriptions);
    MemorySource source(server);
    const auto differences = await(verify(source, target, {.depth = VerifyDepth::digests, .known = findings}));
    ASSERT_TRUE(differences);
    for (const auto& one : *differences) {
      // What the source cannot give now was given once.
      const bool excused = one.text == "the source cannot give the message now";
      EXPECT_TRUE(excused) << one.code << " " << one.mailbox << " " << one.uid << " " << one.text;
    }
    const auto writes = target.writes;
    const auto nothing = pass();
    ASSERT_TRUE(nothing);
    EXPECT_EQ(nothing->changes(), 0U);
    EXPECT_EQ(target.writes, writes) << "a pass over what has not changed writes nothing";
  }
  /// As give_uses_once().
  MemoryServer as_carried() const {
    auto out = server;
    unsigned used = 0;
    for (auto& [name, mailbox] : out.mailboxes) {
      mailbox.special_use = static_cast<std::uint8_t>(name == "INBOX" || !mailbox.selectable ? 0 : mailbox.special_use & ~used);
      used |= mailbox.special_use;
    }
    return out;
  }

  std::mt19937 engine;
  MemoryServer server;
  testing::Clients clients;
  MemoryTarget target{[this](std::string_view what) { return fault(what); }};
  Journal journal{};
  MirrorRules rules{};
  MirrorEvents events{};
  std::vector<Finding> findings{};
  std::uint32_t postponed = 0;
  std::uint64_t steps = 0;
  std::uint64_t fail_at = 0;  ///< the step that fails; 0: none
  std::uint32_t faulty = 0;   ///< one step in so many fails; 0: none
  std::uint32_t busy = 0;     ///< clients act at one step in so many; 0: none
};

class MirrorRandom : public ::testing::TestWithParam<Kind> {};

TEST_P(MirrorRandom, ComesToWhatTheAccountIs) {
  const auto seed = std::random_device{}();
  for (std::uint32_t run = 0; run < 20; ++run) {
    SCOPED_TRACE("seed " + std::to_string(seed + run));
    World world(GetParam(), seed + run);
    for (int i = 0; i < 40; ++i) world.clients.act();
    for (int round = 0; round < 12; ++round) {
      for (auto count = world.below(12); count > 0; --count) world.clients.act();
      world.busy = world.one_in(3) ? 0 : 2 + world.below(40);
      world.faulty = world.one_in(3) ? 0 : 5 + world.below(200);
      const auto done = world.pass(1 + world.below(3));
      if (!done) ASSERT_EQ(done.error().text, "injected") << done.error().detail;
      if (world.one_in(3)) world.settle();
      if (::testing::Test::HasFailure()) return;
    }
    world.settle();
    if (::testing::Test::HasFailure()) return;
  }
}

// A fault at each step in turn: the pass ends with it, and what it has left is taken up by the next one.
TEST_P(MirrorRandom, IsTakenUpWhereverItWasCutOff) {
  const auto seed = std::random_device{}();
  for (std::uint64_t at = 1;; ++at) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " at " + std::to_string(at));
    World world(GetParam(), seed);
    for (int i = 0; i < 60; ++i) world.clients.act();
    ASSERT_TRUE(world.pass());
    for (int i = 0; i < 40; ++i) world.clients.act();
    world.steps = 0;
    world.fail_at = at;
    const auto done = world.pass();
    if (done) {
      EXPECT_GT(at, 2U);  // both sides are listed
      break;
    }
    ASSERT_EQ(done.error().text, "injected") << done.error().detail;
    world.settle();
    if (::testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, MirrorRandom, ::testing::Values(Kind::plain, Kind::condstore, Kind::qresync));

}  // namespace
}  // namespace relais::migrate
