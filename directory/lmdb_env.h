// The directory's LMDB environment: read snapshots that are cheap to take, and durable write transactions.
#pragma once

#include "base/result.h"

#include <lmdb.h>

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace relais::directory {

/// The sub-databases; docs/directory.md describes their keys and records.
enum class Table : std::uint8_t { meta, domains, accounts, numbers, credentials, aliases, routes, dkim_keys, legacy, origins };
inline constexpr std::size_t kTables = 10;

/// A transaction of the environment: a read snapshot or the one writer.
class Txn {
 public:
  /// The value, or nullopt. Valid until the transaction's end or its next write.
  Result<std::optional<std::string_view>> get(Table table, std::string_view key) const;
  /// Visits keys that begin with `prefix` in ascending order while the visitor returns true. The visitor must not write.
  Result<void> range(Table table, std::string_view prefix, const std::function<bool(std::string_view key, std::string_view value)>& visit) const;
  Result<void> put(Table table, std::string_view key, std::string_view value);
  Result<void> erase(Table table, std::string_view key);

 private:
  friend class LmdbEnv;
  Txn(MDB_txn* txn, const std::array<MDB_dbi, kTables>& tables) : txn_(txn), tables_(tables) {}
  MDB_dbi table(Table t) const noexcept { return tables_[static_cast<std::size_t>(t)]; }
  MDB_txn* txn_;
  const std::array<MDB_dbi, kTables>& tables_;
};

/// Threads: any may read and write; writers wait for each other.
/// Durability: when write() returns a value, the commit has been fsynced (LMDB's default flags).
/// Lifetime: the environment's memory is mapped; nothing read may be used after its read() body returned.
class LmdbEnv {
 public:
  /// Errors: Fault::refused (no such folder, no permission, made by a newer release), Fault::corrupt.
  static Result<std::unique_ptr<LmdbEnv>> open(const std::string& path, std::size_t map_size);
  ~LmdbEnv();
  LmdbEnv(const LmdbEnv&) = delete;
  LmdbEnv& operator=(const LmdbEnv&) = delete;

  /// Runs body(const Txn&) -> Result<…> over one snapshot, on this thread, at once.
  template <class F>
    requires std::invocable<F&, const Txn&>
  std::invoke_result_t<F&, const Txn&> read(F&& body) const {
    auto begun = begin_read();
    if (!begun) return std::unexpected(std::move(begun).error());
    const ReadGuard guard{*this, *begun};
    const Txn txn{*begun, tables_};
    return body(txn);
  }

  /// Runs body(Txn&) -> Result<…> and commits; its error aborts. Blocks for the fsync: not for an event loop's thread.
  template <class F>
    requires std::invocable<F&, Txn&>
  std::invoke_result_t<F&, Txn&> write(F&& body) {
    auto begun = begin_write();
    if (!begun) return std::unexpected(std::move(begun).error());
    WriteGuard guard{*begun};
    Txn txn{*begun, tables_};
    auto result = body(txn);
    if (!result) return result;
    guard.txn = nullptr;
    if (auto done = commit(*begun); !done) return std::unexpected(std::move(done).error());
    return result;
  }

 private:
  /// Reset read transactions wait in slots; a reader takes one and puts it back. Enough slots that threads rarely meet.
  static constexpr std::size_t kSlots = 64;
  struct alignas(64) Slot {
    std::atomic<MDB_txn*> txn{nullptr};
  };
  struct ReadGuard {
    const LmdbEnv& env;
    MDB_txn* txn;
    ~ReadGuard() { env.end_read(txn); }
  };
  struct WriteGuard {
    MDB_txn* txn;
    ~WriteGuard() {
      if (txn != nullptr) mdb_txn_abort(txn);
    }
  };

  LmdbEnv() = default;
  Result<void> open_tables();
  Result<MDB_txn*> begin_read() const;
  void end_read(MDB_txn* txn) const noexcept;
  Result<MDB_txn*> begin_write();
  Result<void> commit(MDB_txn* txn);

  MDB_env* env_ = nullptr;
  std::array<MDB_dbi, kTables> tables_{};
  std::atomic<bool> broken_{false};
  mutable std::array<Slot, kSlots> slots_;
};

}  // namespace relais::directory
