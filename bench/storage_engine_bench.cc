// The embedded engine: durable transactions per second, snapshots, blob reads. Runs in the folder of the environment variable
// RELAIS_BENCH_DIR, else in the temporary one: a file system in memory tells nothing.
#include "net/worker_pool.h"
#include "storage/blob.h"
#include "storage/engine/lmdb_engine.h"

#include <benchmark/benchmark.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace relais::storage {
namespace {

namespace asio = boost::asio;

std::string text(std::size_t size, unsigned seed) {
  std::string out;
  for (unsigned i = seed * 7919 + 1; out.size() < size; i = i * 1664525 + 1013904223) out += "word" + std::to_string(i % 4001) + (i % 11 == 0 ? "\r\n" : " ");
  out.resize(size);
  return out;
}

/// An engine in a fresh folder.
struct Shard {
  Shard() {
    const char* base = std::getenv("RELAIS_BENCH_DIR");
    std::string name = (std::filesystem::path(base != nullptr ? base : std::filesystem::temp_directory_path().string()) / "relais-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
    LmdbOptions options;
    options.path = path;
    options.pool = &pool;
    auto opened = open_lmdb_engine(std::move(options));
    if (!opened) throw std::runtime_error(opened.error().detail);
    engine = std::move(*opened);
  }
  ~Shard() {
    engine.reset();
    std::filesystem::remove_all(path);
  }
  std::filesystem::path path;
  net::WorkerPool pool{2, 1000};
  std::unique_ptr<Engine> engine;
};

/// What delivering a message writes: five reads, five rows, one of them large.
asio::awaitable<void> deliver(Engine& engine, AccountId account, SharedChunks message, std::uint64_t number, int& failed) {
  std::vector<std::shared_ptr<const EncodedBlob>> blobs{make_blob("Delivered-To: someone@example.org\r\n", std::move(message))};
  const auto body = [number](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
    static const std::string meta(900, 'm');
    const auto uid = std::to_string(1'000'000'000 + number);
    for (const auto* key : {"quota", "box/1", "once/1", "keywords/1", "modseq"}) RELAIS_TRY_VOID(txn.get(key));
    RELAIS_TRY_VOID(txn.put("f/1/" + uid, std::string(24, 'f')));
    RELAIS_TRY_VOID(txn.put("m/1/" + uid, meta + std::to_string(static_cast<std::uint64_t>(ids[0]))));
    RELAIS_TRY_VOID(txn.put("x/1/" + uid, "x"));
    RELAIS_TRY_VOID(txn.put("box/1", std::string(120, 'b')));
    return txn.put("quota", uid);
  };
  const auto done = co_await engine.transact(account, std::move(blobs), body);
  failed += !done;
}

void BM_Transact(benchmark::State& state) {
  Shard shard;
  const auto writers = static_cast<std::uint64_t>(state.range(0));
  const auto accounts = static_cast<std::uint64_t>(state.range(1));
  std::vector<SharedChunks> messages;
  for (unsigned i = 0; i < 64; ++i) messages.push_back(encode_chunks(text(10'000, i)));
  asio::io_context loop;
  std::uint64_t number = 0;
  int failed = 0;
  bool stop = false;
  const auto writer = [&](std::uint64_t self) -> asio::awaitable<void> {
    while (!stop) {
      ++number;
      co_await deliver(*shard.engine, AccountId{accounts == 1 ? 1 : self + number % accounts}, messages[number % messages.size()], number, failed);
    }
  };
  for (std::uint64_t i = 0; i < writers; ++i) asio::co_spawn(loop, writer(i), asio::detached);
  std::uint64_t before = number;
  for (auto _ : state) {
    const auto target = number + writers;
    while (number < target) loop.run_one();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(number - before));
  stop = true;
  loop.run();
  if (failed != 0) state.SkipWithError("a transaction failed");
}
BENCHMARK(BM_Transact)->ArgNames({"writers", "accounts"})->ArgsProduct({{1, 16, 64}, {1, 1000}})->UseRealTime()->MeasureProcessCPUTime()->MinTime(3);

/// Fills a shard with messages of one size.
std::uint64_t fill(Shard& shard, std::size_t size, std::uint64_t count) {
  asio::io_context loop;
  std::uint64_t next = 0;
  int failed = 0;
  std::vector<SharedChunks> messages;
  for (unsigned i = 0; i < 64; ++i) messages.push_back(encode_chunks(text(size, i)));
  const auto writer = [&]() -> asio::awaitable<void> {
    while (next < count) {
      const auto number = next++;
      co_await deliver(*shard.engine, AccountId{1}, messages[number % messages.size()], number, failed);
    }
  };
  for (int i = 0; i < 64; ++i) asio::co_spawn(loop, writer(), asio::detached);
  loop.run();
  if (failed != 0) throw std::runtime_error("a transaction failed");
  return count;
}

void BM_SnapshotAndGet(benchmark::State& state) {
  Shard shard;
  fill(shard, 1000, 20'000);
  if (state.range(0) != 0) (void)shard.engine->stats();  // everything in the index
  std::uint64_t i = 0;
  for (auto _ : state) {
    const auto snapshot = shard.engine->read(AccountId{1});
    i = (i + 7919) % 20'000;
    benchmark::DoNotOptimize((*snapshot)->get("f/1/" + std::to_string(1'000'000'000 + i)));
  }
}
BENCHMARK(BM_SnapshotAndGet)->ArgName("indexed")->Arg(0)->Arg(1);

void BM_Snapshot(benchmark::State& state) {
  Shard shard;
  fill(shard, 1000, 1000);
  for (auto _ : state) benchmark::DoNotOptimize(shard.engine->read(AccountId{1}));
}
BENCHMARK(BM_Snapshot)->ThreadRange(1, 2);

void BM_Range(benchmark::State& state) {
  Shard shard;
  const auto count = fill(shard, 1000, 50'000);
  if (state.range(0) != 0) (void)shard.engine->stats();
  for (auto _ : state) {
    const auto snapshot = shard.engine->read(AccountId{1}).value();
    std::uint64_t octets = 0;
    const auto walked = snapshot->range("m/1/", "m/2", [&octets](const KeyValue& entry) { return octets += entry.value.size(), true; });
    if (!walked || octets < count * 900) state.SkipWithError("wrong");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}
BENCHMARK(BM_Range)->ArgName("indexed")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_ReadBlob(benchmark::State& state) {
  Shard shard;
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto count = fill(shard, size, 20'000);
  (void)shard.engine->stats();  // everything in the index
  std::string octets;
  std::uint64_t next = 0;
  std::uint64_t waited = 0;
  asio::io_context loop;
  const auto wait = [&](BlobId id) -> asio::awaitable<void> {
    if (!co_await shard.engine->read_blob(id, 0, UINT64_MAX, octets)) throw std::runtime_error("read_blob");
  };
  for (auto _ : state) {
    const auto snapshot = shard.engine->read(AccountId{1}).value();
    octets.clear();
    for (int i = 0; i < 100; ++i) {
      const BlobId id{1 + next++ % count};
      const auto read = snapshot->try_read_blob(id, 0, UINT64_MAX, octets);
      if (!read) return state.SkipWithError(read.error().detail.c_str());
      if (*read) continue;
      ++waited;  // the kernel has taken it out of its cache
      asio::co_spawn(loop, wait(id), asio::detached);
      loop.restart();
      loop.run();
    }
  }
  state.SetItemsProcessed(state.iterations() * 100);
  state.counters["waited"] = static_cast<double>(waited);
}
BENCHMARK(BM_ReadBlob)->ArgName("octets")->Arg(4'000)->Arg(10'000)->Arg(200'000)->Unit(benchmark::kMicrosecond);

void BM_EncodeChunks(benchmark::State& state) {
  const auto octets = text(static_cast<std::size_t>(state.range(0)), 1);
  for (auto _ : state) benchmark::DoNotOptimize(encode_chunks(octets));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_EncodeChunks)->ArgName("octets")->Arg(4'000)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace relais::storage

BENCHMARK_MAIN();
