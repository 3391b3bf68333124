// Opens the queue's shards.
#include "base/ascii.h"
#include "smtp/queue/queue.h"
#include "storage/engine/lmdb_engine.h"

#include <algorithm>
#include <system_error>

namespace relais::smtp::queue {
namespace {

constexpr unsigned kMostShards = 100;

// Not as the mailbox shards are named: the storage's metrics and log lines tell shards by the last part of their path.
std::string folder_of(unsigned shard) {
  const auto digits = std::to_string(shard);
  return "q" + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
}

std::unexpected<Error> unavailable(const std::filesystem::path& path, const std::error_code& error) {
  return fail(Fault::temporary, "the queue is not available", "UNAVAILABLE", path.string() + ": " + error.message());
}

Result<unsigned> count_shards(const std::filesystem::path& folder) {
  std::error_code error;
  unsigned count = 0;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (!name.starts_with('q')) continue;
    const auto number = parse_u64(std::string_view(name).substr(1));
    if (number && *number < kMostShards) count = std::max(count, static_cast<unsigned>(*number) + 1);
  }
  if (error) return unavailable(folder, error);
  return count;
}

}  // namespace

Result<std::vector<std::unique_ptr<storage::Engine>>> open_queue_shards(QueueStorageOptions options) {
  if (options.shards == 0 || options.shards > kMostShards) return fail(Fault::refused, "number of queue shards must be 1 to 100", "SHARDS");
  const auto folder = options.path / "queue";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return unavailable(folder, error);
  RELAIS_TRY(const auto there, count_shards(folder));
  // Fewer than before: those beyond are opened all the same, since they may hold mail. They take new mail too, as any other.
  std::vector<std::unique_ptr<storage::Engine>> engines;
  for (unsigned shard = 0; shard < std::max(options.shards, there); ++shard) {
    auto engine = options.engine;
    engine.path = folder / folder_of(shard);
    engine.pool = options.pool;
    RELAIS_TRY(auto opened, storage::open_lmdb_engine(std::move(engine)));
    engines.push_back(std::move(opened));
  }
  return engines;
}

}  // namespace relais::smtp::queue
