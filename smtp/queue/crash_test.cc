// kill -9 at random instants during intake, attempts and notices: nothing is lost, and nothing is sent twice but what no record could tell
// of.
#include "smtp/queue/crash_helper.h"
#include "storage/engine/engine_test_support.h"
#include "storage/engine/lmdb_engine.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <sstream>

extern char** environ;

namespace relais::smtp::queue {
namespace {

using storage::testing::TempFolder;

/// What the helpers said, of all runs.
struct Ledger {
  using Delivery = std::pair<std::string, std::string>;  ///< trace id, address
  std::set<Delivery> accepted;
  std::map<Delivery, int> took;
  std::set<Delivery> recorded;
  std::map<std::string, std::string> reports;  ///< id of the report → kind
  std::uint64_t duplicates = 0;
  bool empty = false;

  std::set<Delivery> took_in_this_run;

  void begin_run() { took_in_this_run.clear(); }

  void take(const std::string& line) {
    std::istringstream in(line);
    std::string what;
    std::string id;
    std::string word;
    in >> what >> id;
    if (what == "empty") empty = true;
    if (what == "accepted") {
      while (in >> word) accepted.emplace(id, word);
    } else if (what == "took" && in >> word) {
      const Delivery delivery{id, word};
      EXPECT_FALSE(recorded.contains(delivery)) << line << ": again, though it was recorded";
      EXPECT_TRUE(took_in_this_run.insert(delivery).second) << line << ": twice by one process";
      if (++took[delivery] > 1) ++duplicates;
    } else if (what == "recorded" && in >> word) {
      recorded.emplace(id, word);
    } else if (what == "report" && in >> word) {
      const auto [at, fresh] = reports.emplace(id, word);
      EXPECT_TRUE(fresh || at->second == word);
    }
  }
};

/// Starts the helper, reads what it says, kills it after so many lines (0: lets it end).
void run_helper(const std::filesystem::path& path, std::int64_t origin, int round, std::uint64_t lines, Ledger& ledger) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::array<std::string, 5> words{RELAIS_QUEUE_CRASH_HELPER, path.string(), std::to_string(origin), "r" + std::to_string(round),
                                   lines == 0 ? "drain" : "work"};
  std::array<char*, 6> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  pid_t child = 0;
  const int spawned = ::posix_spawn(&child, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  ASSERT_EQ(spawned, 0);
  ledger.begin_run();
  FILE* out = ::fdopen(pipe[0], "r");
  std::array<char, 512> buffer{};
  bool killed = false;
  for (std::uint64_t seen = 0; std::fgets(buffer.data(), buffer.size(), out) != nullptr; ++seen) {
    std::string line(buffer.data());
    if (line.ends_with('\n')) ledger.take(line);  // else cut short by the kill
    if (lines != 0 && seen >= lines && !killed) {
      ::kill(child, SIGKILL);
      killed = true;
    }
  }
  std::fclose(out);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (lines == 0) {
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  } else {
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the helper ended by itself, status " << status;
  }
}

TEST(QueueCrash, NothingIsLostAndNothingRecordedIsRepeated) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TempFolder folder;
  const auto origin = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  Ledger ledger;
  for (int round = 1; round <= 20 && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(round);
    run_helper(folder.path(), origin, round, random() % 3 == 0 ? 1 + random() % 30 : 1 + random() % 1'200, ledger);
  }
  run_helper(folder.path(), origin, 21, 0, ledger);
  EXPECT_TRUE(ledger.empty);
  EXPECT_GT(ledger.accepted.size(), 500U);

  struct Message {
    std::set<std::string> untaken_jobs;  ///< destinations with a recipient whom nobody ever took: told for sure
    int unrecorded = 0;                  ///< recipients of whom no record says that they were reached: told at most once each
    int failures = 0;
    int delays = 0;
  };
  std::map<std::string, Message> messages;
  int fine = 0;
  int fine_taken = 0;
  for (const auto& delivery : ledger.accepted) {
    const auto& [id, address] = delivery;
    auto& message = messages[id];
    const bool taken = ledger.took.contains(delivery);
    if (!taken) message.untaken_jobs.insert(address.substr(address.find('@')));
    if (!ledger.recorded.contains(delivery)) ++message.unrecorded;
    if (address.starts_with("no") || address.starts_with("dead")) EXPECT_FALSE(taken);
    if (!address.starts_with("ok")) continue;
    ++fine;
    fine_taken += taken ? 1 : 0;
  }
  for (const auto& [report, kind] : ledger.reports) {
    const auto found = messages.find(report.substr(0, report.rfind("-r")));
    if (found == messages.end()) continue;  // accepted just before a kill, which the ledger does not know
    ++(kind == "failed" ? found->second.failures : found->second.delays);
  }
  for (const auto& [id, message] : messages) {
    EXPECT_GE(message.failures, static_cast<int>(message.untaken_jobs.size())) << id << ": neither sent nor told";
    EXPECT_LE(message.failures, message.unrecorded) << id << ": a failure was told twice";
    EXPECT_LE(message.delays, 1) << id << ": a delay was told twice";
  }
  // A machine that is busy with other things may let some grow too old: they were told of.
  EXPECT_GT(fine_taken, fine * 9 / 10);
  std::printf("%zu recipients, %zu reports, %llu duplicates where the record was cut off\n", ledger.accepted.size(), ledger.reports.size(),
              static_cast<unsigned long long>(ledger.duplicates));

  net::WorkerPool pool(1, 100);
  for (const auto* name : {"q000", "q001"}) {
    storage::LmdbOptions options;
    options.path = folder.path() / name;
    options.pool = &pool;
    options.map_size = 1 << 30;
    options.min_free = 0;
    const auto engine = storage::open_lmdb_engine(std::move(options));
    ASSERT_TRUE(engine) << engine.error().detail;
    EXPECT_EQ((*engine)->stats()->keys, 0U);
    EXPECT_EQ((*engine)->stats()->blobs, 0U);
    EXPECT_EQ((*engine)->check()->problems, std::vector<std::string>());
  }
}

}  // namespace
}  // namespace relais::smtp::queue
