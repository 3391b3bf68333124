// What the crash test and the process that it kills agree on.
#pragma once

#include "storage/engine.h"
#include "storage/engine/engine_test_support.h"
#include "storage/engine/lmdb_engine.h"

#include <filesystem>
#include <string>

namespace relais::storage::testing {

inline constexpr unsigned kCrashWriters = 8;
inline constexpr std::uint64_t kCrashKept = 20;  // messages that each writer keeps; older ones are released

inline AccountId crash_account(unsigned writer) { return AccountId{writer % 3 + 1}; }
inline std::string crash_counter(unsigned writer) { return "w" + std::to_string(writer); }
inline std::string crash_message(unsigned writer, std::uint64_t number) {
  return "m" + std::to_string(writer) + "/" + std::to_string(number);
}
inline std::string crash_octets(unsigned writer, std::uint64_t number) {
  const std::size_t size = number % 50 == 7 ? 1'500'000 : 500 + number % 3'000;
  return text(size, writer * 1'000'003U + static_cast<unsigned>(number));
}

/// The body that writes a message: counts it, stores it, and releases the one that is too old.
inline Result<void> crash_write(Txn& txn, unsigned writer, std::uint64_t number, BlobId blob) {
  RELAIS_TRY_VOID(txn.put(crash_counter(writer), std::to_string(number)));
  RELAIS_TRY_VOID(txn.put(crash_message(writer, number), std::to_string(static_cast<std::uint64_t>(blob))));
  if (number <= kCrashKept) return {};
  const auto old = crash_message(writer, number - kCrashKept);
  RELAIS_TRY(const auto id, txn.get(old));
  if (!id) return fail(Fault::corrupt, "an old message is missing");
  RELAIS_TRY_VOID(txn.release_blob(BlobId{std::stoull(std::string(*id))}));
  return txn.erase(old);
}

/// Small files, so that a second of work rolls segments, seals tables and compacts.
inline LmdbOptions crash_options(const std::filesystem::path& path, net::WorkerPool& pool) {
  LmdbOptions options;
  options.path = path;
  options.pool = &pool;
  options.map_size = 1 << 30;
  options.min_free = 0;
  options.segment_size = 400'000;
  options.journal_size = 300'000;
  return options;
}

}  // namespace relais::storage::testing
