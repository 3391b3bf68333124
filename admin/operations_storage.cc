// relais storage check|compact|stats
#include "admin/operations.h"

#include "storage/model/check.h"

#include <array>

namespace relais::admin {
namespace {

constexpr double kDeadShare = 0.25;

/// What the engine finds in its records and checksums, and what the mailbox model finds in its counters and references.
Result<storage::ModelReport> check_shard(const storage::Engine& engine) {
  RELAIS_TRY(auto report, engine.check());
  RELAIS_TRY(auto model, storage::check_model(engine));
  report.problems.insert(report.problems.end(), model.problems.begin(), model.problems.end());
  static_cast<storage::CheckReport&>(model) = std::move(report);
  return model;
}

// Long and blocking: on a worker, so that serving goes on.
net::Task<json> check(Backend& backend, const json&) {
  json total{{"keys", 0}, {"blobs", 0}, {"octets", 0}, {"importing", 0}, {"sealed", 0}, {"problems", json::array()}};
  for (storage::ShardNumber shard = 0; shard < backend.store.shards(); ++shard) {
    auto job = [&engine = backend.store.engine(shard)] { return check_shard(engine); };
    RELAIS_CO_TRY(const auto report, co_await backend.workers.run(std::move(job)));
    total["keys"] = total["keys"].get<std::uint64_t>() + report.keys;
    total["blobs"] = total["blobs"].get<std::uint64_t>() + report.blobs;
    total["octets"] = total["octets"].get<std::uint64_t>() + report.octets;
    total["importing"] = total["importing"].get<std::uint64_t>() + report.importing;
    total["sealed"] = total["sealed"].get<std::uint64_t>() + report.sealed;
    for (const auto& problem : report.problems) total["problems"].push_back("shard " + std::to_string(shard) + ": " + problem);
  }
  co_return total;
}

net::Task<json> compact(Backend& backend, const json& request) {
  const auto share = request.value("dead_share", kDeadShare);
  std::uint64_t freed = 0;
  for (storage::ShardNumber shard = 0; shard < backend.store.shards(); ++shard) {
    RELAIS_CO_TRY(const auto octets, co_await backend.store.engine(shard).compact(share));
    freed += octets;
  }
  co_return json{{"freed_octets", freed}};
}

net::Task<json> stats(Backend& backend, const json&) {
  auto rows = json::array();
  for (storage::ShardNumber shard = 0; shard < backend.store.shards(); ++shard) {
    auto job = [&engine = backend.store.engine(shard)] { return engine.stats(); };
    RELAIS_CO_TRY(const auto stats, co_await backend.workers.run(std::move(job)));
    const auto writable = backend.store.writable(shard);
    rows.push_back({{"shard", shard}, {"accounts", stats.accounts}, {"keys", stats.keys}, {"blobs", stats.blobs}, {"live_octets", stats.live_octets},
                    {"dead_octets", stats.dead_octets}, {"index_octets", stats.index_octets}, {"segments", stats.segments},
                    {"free_octets", stats.free_octets}, {"state", writable ? "writable" : writable.error().text}});
  }
  co_return json{{"shards", std::move(rows)}};
}

constexpr std::array<Operation, 3> kOperations{{{"storage check", check}, {"storage compact", compact}, {"storage stats", stats}}};

}  // namespace

std::span<const Operation> storage_operations() { return kOperations; }

}  // namespace relais::admin
