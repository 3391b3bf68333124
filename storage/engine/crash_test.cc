// kill -9 at random instants, many times: what was acknowledged is there, whole, and nothing else but what was under way.
#include "storage/engine/crash_verify.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <random>

extern char** environ;

namespace relais::storage {
namespace {

using namespace testing;

/// Starts the helper, reads what it says for so many lines, kills it, and reads the rest.
void run_and_kill(const std::filesystem::path& path, std::uint64_t lines, Acknowledged& acknowledged) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::string program = RELAIS_CRASH_HELPER;
  std::string argument = path.string();
  std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};
  pid_t child = 0;
  const int spawned = ::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  ASSERT_EQ(spawned, 0);
  FILE* out = ::fdopen(pipe[0], "r");
  std::array<char, 64> line{};
  std::array<char, 8> what{};
  unsigned writer = 0;
  unsigned long long number = 0;
  bool killed = false;
  for (std::uint64_t seen = 0; std::fgets(line.data(), line.size(), out) != nullptr; ++seen) {
    if (std::sscanf(line.data(), "%7s %u %llu", what.data(), &writer, &number) != 3 || writer >= kCrashWriters)
      continue;  // cut short by the kill
    auto& newest = acknowledged.newest[writer];
    if (what.data() == std::string_view("start")) {
      EXPECT_GE(number, newest) << "an acknowledged message of writer " << writer << " is lost";
      EXPECT_LE(number, newest + 1) << "a message of writer " << writer << " was counted twice";
    }
    newest = number;
    ++acknowledged.lines;
    if (seen >= lines && !killed) {
      ::kill(child, SIGKILL);
      killed = true;
    }
  }
  std::fclose(out);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the helper ended by itself, status " << status;
}

TEST(Crash, NothingAcknowledgedIsLostByKills) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TempFolder folder;
  const auto path = folder.path() / "shard";
  Acknowledged acknowledged;
  for (int round = 0; round < 25 && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(round);
    run_and_kill(path, random() % 3 == 0 ? random() % 12 : random() % 700, acknowledged);
    if (round % 2 == 1) verify(path, acknowledged);  // the other times the next process finds what the crash left
  }
  verify(path, acknowledged);
  EXPECT_GT(acknowledged.lines, 1'000U);
}

}  // namespace
}  // namespace relais::storage
