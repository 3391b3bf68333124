// The process that the crash test kills: writes as fast as it can and says on its output what was acknowledged.
#include "storage/engine/crash_helper.h"

#include <unistd.h>

#include <cstdio>

namespace relais::storage::testing {
namespace {

/// One write per line: the reader of the pipe has it even if the process dies right after.
void say(const char* what, unsigned writer, std::uint64_t number) {
  std::array<char, 64> line{};
  const int size = std::snprintf(line.data(), line.size(), "%s %u %llu\n", what, writer, static_cast<unsigned long long>(number));
  if (::write(STDOUT_FILENO, line.data(), static_cast<std::size_t>(size)) != size) ::_exit(1);
}

asio::awaitable<void> write_messages(Engine& engine, unsigned writer, std::uint64_t number) {
  while (true) {
    ++number;
    std::vector<std::shared_ptr<const EncodedBlob>> blobs{blob(crash_octets(writer, number))};
    const auto body = [writer, number](Txn& txn, std::span<const BlobId> ids) { return crash_write(txn, writer, number, ids[0]); };
    const auto done = co_await engine.transact(crash_account(writer), std::move(blobs), body);
    if (!done) {
      std::fprintf(stderr, "transact: %s\n", done.error().detail.c_str());
      ::_exit(2);
    }
    say("ack", writer, number);
  }
}

asio::awaitable<void> compact(Engine& engine) {
  while (true) {
    const auto done = co_await engine.compact(0.4);
    if (!done) {
      std::fprintf(stderr, "compact: %s\n", done.error().detail.c_str());
      ::_exit(2);
    }
    for (int i = 0; i < 5; ++i)  // some commits go by
      (void)co_await engine.transact(AccountId{99}, {}, [](Txn& txn, std::span<const BlobId>) { return txn.put("tick", "x"); });
  }
}

int run(const char* path) {
  asio::io_context loop;
  net::WorkerPool pool(2, 1000);
  auto engine = open_lmdb_engine(crash_options(path, pool));
  if (!engine) {
    std::fprintf(stderr, "open: %s\n", engine.error().detail.c_str());
    return 3;
  }
  for (unsigned writer = 0; writer < kCrashWriters; ++writer) {
    const auto counter = get(**engine, crash_account(writer), crash_counter(writer));
    const std::uint64_t number = counter ? std::stoull(*counter) : 0;
    say("start", writer, number);
    asio::co_spawn(loop, write_messages(**engine, writer, number), asio::detached);
  }
  asio::co_spawn(loop, compact(**engine), asio::detached);
  loop.run();
  return 0;
}

}  // namespace
}  // namespace relais::storage::testing

int main(int argc, char** argv) { return argc == 2 ? relais::storage::testing::run(argv[1]) : 4; }
