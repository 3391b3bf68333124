// Opening the platform's shards.
#include "storage/model/open_store.h"

#include "base/ascii.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace relais::storage {
namespace {

constexpr unsigned kMaxShards = 1'000;

std::string folder_of(unsigned shard) {
  const auto digits = std::to_string(shard);
  return std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
}

}  // namespace

Result<unsigned> count_shards(const std::filesystem::path& path) {
  unsigned count = 0;
  std::error_code error;
  const auto folder = path / "shards";
  if (!std::filesystem::exists(folder, error)) {
    if (error) return fail(Fault::temporary, "mailbox storage is not available", "UNAVAILABLE", folder.string() + ": " + error.message());
    return 0U;
  }
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto number = parse_u64(at->path().filename().string());
    if (number && *number < kMaxShards) count = std::max(count, static_cast<unsigned>(*number) + 1);
  }
  if (error) return fail(Fault::temporary, "mailbox storage is not available", "UNAVAILABLE", folder.string() + ": " + error.message());
  return count;
}

Result<std::unique_ptr<ShardedStore>> open_store(StoreOptions options) {
  if (options.shards == 0 || options.shards > kMaxShards) return fail(Fault::refused, "number of shards must be 1 to 1000", "SHARDS");
  RELAIS_TRY(const auto there, count_shards(options.path));
  if (there > options.shards) {
    return fail(Fault::refused, "fewer shards are configured than there are", "SHARDS",
                std::to_string(there) + " in " + options.path.string() + ", " + std::to_string(options.shards) + " configured");
  }
  std::vector<std::unique_ptr<Engine>> engines;
  engines.reserve(options.shards);
  for (unsigned shard = 0; shard < options.shards; ++shard) {
    auto engine_options = options.engine;
    engine_options.path = options.path / "shards" / folder_of(shard);
    engine_options.pool = options.pool;
    RELAIS_TRY(auto engine, open_lmdb_engine(std::move(engine_options)));
    engines.push_back(std::move(engine));
  }
  return std::make_unique<ShardedStore>(std::move(engines), options.pool, *options.clock, options.compression);
}

}  // namespace relais::storage
