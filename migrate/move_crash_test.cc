// Ends the mover at each named point, and at each after each: nothing is lost, nothing is there twice, and placement, journal and shard
// agree.
#include "migrate/move_crash_testing.h"

#include "storage/engine/engine_test_support.h"

#include <gtest/gtest.h>

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <string>

extern char** environ;

namespace relais::migrate {
namespace {

using namespace migrate::testing;
using directory::Placement;
using storage::AccountState;

int start(const std::filesystem::path& folder, std::string_view point, int round, std::string_view how) {
  std::array<std::string, 5> words{RELAIS_MOVE_CRASH_HELPER, folder.string(), std::string(point), std::to_string(round), std::string(how)};
  std::array<char*, 6> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments.at(i) = words.at(i).data();
  pid_t child = 0;
  if (::posix_spawn(&child, words[0].c_str(), nullptr, nullptr, arguments.data(), environ) != 0) return -1;
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -2;
  return WEXITSTATUS(status);
}

bool decided(Stage stage) { return stage == Stage::switching || stage == Stage::native; }

/// What holds at any instant, also between two starts.
void expect_agreement(CrashWorld& w) {
  const auto record = w.stage();
  const auto stage = record ? record->stage : Stage::planned;
  const auto placement = w.placement();
  const auto state = w.state();
  switch (placement.kind) {
    case Placement::Kind::legacy:
      EXPECT_EQ(placement.legacy, "old");
      EXPECT_FALSE(decided(stage)) << "decided, and served by the source";
      EXPECT_TRUE(state == AccountState::importing || stage == Stage::planned || stage == Stage::copying);
      break;
    case Placement::Kind::moving:
      EXPECT_TRUE(stage == Stage::cutover || stage == Stage::switching) << "nobody knows that it is frozen";
      EXPECT_TRUE(state == AccountState::importing || stage == Stage::switching) << "open before it was decided";
      break;
    case Placement::Kind::shard:
      EXPECT_TRUE(decided(stage)) << "switched, and not decided";
      EXPECT_EQ(placement.shard, kCrashShard);
      EXPECT_EQ(state, AccountState::open) << "placed before it was opened";
      break;
  }
}

/// Starts, is ended at `points` one after the other, and goes on to the end; the source's mail is another in each round that begins before
/// the decision.
void move_with_crashes(std::initializer_list<std::string_view> points, std::string_view first_how) {
  storage::testing::TempFolder folder;
  int round = 0;
  bool first = true;
  for (const auto point : points) {
    SCOPED_TRACE(point);
    ASSERT_EQ(start(folder.path(), point, round, first ? first_how : "straight"), kCrashed);
    first = false;
    CrashWorld w(folder.path());
    ASSERT_NO_FATAL_FAILURE(expect_agreement(w));
    if (!decided(w.stage().value_or(StageRecord{}).stage)) ++round;
  }
  ASSERT_EQ(start(folder.path(), "", round, "straight"), 0);
  CrashWorld w(folder.path());
  expect_agreement(w);
  EXPECT_EQ(w.stage()->stage, Stage::native);
  EXPECT_EQ(w.stage()->epoch, w.placement().epoch);
  EXPECT_EQ(w.placement().kind, Placement::Kind::shard);
  EXPECT_EQ(w.mail(), crash_mail(round));
  EXPECT_EQ(w.run(w.directory->located(w.ann.number)).value()->origin.names.prefix, "INBOX.");
}

bool released(std::string_view point) { return point.starts_with("release."); }

class CrashPointTest : public ::testing::TestWithParam<std::string_view> {};

std::string name_of(std::string_view point) {
  std::string name(point);
  std::ranges::replace(name, '.', '_');
  return name;
}

TEST_P(CrashPointTest, IsSurvived) { move_with_crashes({GetParam()}, released(GetParam()) ? "release" : "straight"); }

INSTANTIATE_TEST_SUITE_P(All, CrashPointTest, ::testing::ValuesIn(kCrashPoints), [](const auto& param) { return name_of(param.param); });

using Pair = std::tuple<std::string_view, std::string_view>;
class CrashTwiceTest : public ::testing::TestWithParam<Pair> {};

/// The start after a crash is ended too, while it releases or completes, or later.
TEST_P(CrashTwiceTest, IsSurvived) {
  const auto [one, other] = GetParam();
  move_with_crashes({one, other}, "straight");
}

std::string pair_name(const ::testing::TestParamInfo<Pair>& param) {
  return name_of(std::get<0>(param.param)) + "_then_" + name_of(std::get<1>(param.param));
}

INSTANTIATE_TEST_SUITE_P(Released, CrashTwiceTest,
                         ::testing::Combine(::testing::Values("cutover.moving", "cutover.copied", "cutover.verified"),
                                            ::testing::Values("release.placed", "release.told", "cutover.moving", "switching.journaled")),
                         pair_name);
INSTANTIATE_TEST_SUITE_P(Completed, CrashTwiceTest,
                         ::testing::Combine(::testing::Values("switching.journaled", "switching.open"),
                                            ::testing::Values("switching.open", "switching.placed", "switching.told", "native.journaled")),
                         pair_name);

TEST(Crash, AnAttemptThatIsReleasedIsFollowedByOneThatIsNot) {
  storage::testing::TempFolder folder;
  ASSERT_EQ(start(folder.path(), "", 0, "release"), kReleased);
  {
    CrashWorld w(folder.path());
    expect_agreement(w);
    EXPECT_EQ(w.stage()->stage, Stage::tailing);
    EXPECT_EQ(w.placement().epoch, 3U);
  }
  ASSERT_EQ(start(folder.path(), "", 1, "straight"), 0);
  CrashWorld w(folder.path());
  expect_agreement(w);
  EXPECT_EQ(w.mail(), crash_mail(1));
}

}  // namespace
}  // namespace relais::migrate
