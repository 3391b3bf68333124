// The engine in memory: same semantics as the embedded one, with faults on demand.
#include "storage/engine/memory_engine.h"

#include "base/check.h"
#include "storage/blob.h"
#include "storage/engine/errors.h"
#include "storage/engine/overlay.h"
#include "storage/engine/resumption.h"

#include <boost/asio/post.hpp>

#include <map>
#include <mutex>
#include <set>

namespace relais::storage {
namespace {

/// One account's keys. Changed in place while no snapshot looks at it, copied otherwise.
struct Keys {
  std::map<std::string, std::string, std::less<>> entries;
  std::size_t readers = 0;  // snapshots; guarded by the engine's mutex
};

class KeysReader final : public Reader {
 public:
  explicit KeysReader(const Keys* keys) : keys_(keys) {}

  Result<std::optional<std::string_view>> get(std::string_view key) const override {
    if (keys_ == nullptr) return std::nullopt;
    const auto found = keys_->entries.find(key);
    if (found == keys_->entries.end()) return std::nullopt;
    return found->second;
  }

  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override {
    if (keys_ == nullptr) return {};
    for (auto at = keys_->entries.lower_bound(first); at != keys_->entries.end() && at->first < last; ++at)
      if (!visit(KeyValue{at->first, at->second})) break;
    return {};
  }

  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override {
    if (keys_ == nullptr) return std::nullopt;
    auto at = keys_->entries.lower_bound(last);
    if (at == keys_->entries.begin() || (--at)->first < first || at->first >= last) return std::nullopt;
    return std::pair(at->first, std::string_view(at->second));
  }

 private:
  const Keys* keys_;
};

struct Blob {
  std::shared_ptr<const EncodedBlob> octets;
  std::uint64_t references = 0;
};

struct Request {
  AccountId account{};
  std::vector<std::shared_ptr<const EncodedBlob>> blobs;
  TxnBody body;
  Result<void> result{};
  std::optional<Resumption> resumption{};  // where it waits for release()
};

class Memory;

class MemorySnapshot final : public Snapshot {
 public:
  MemorySnapshot(const Memory& engine, std::shared_ptr<Keys> keys) : engine_(engine), keys_(std::move(keys)), reader_(keys_.get()) {}
  ~MemorySnapshot() override;
  MemorySnapshot(const MemorySnapshot&) = delete;
  MemorySnapshot& operator=(const MemorySnapshot&) = delete;

  Result<std::optional<std::string_view>> get(std::string_view key) const override { return reader_.get(key); }
  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override { return reader_.range(first, last, visit); }
  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override {
    return reader_.last_in(first, last);
  }
  Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override;

 private:
  const Memory& engine_;
  const std::shared_ptr<Keys> keys_;
  const KeysReader reader_;
};

class MemoryView final : public ShardView {
 public:
  std::map<AccountId, std::map<std::string, std::string, std::less<>>> accounts;
  std::map<BlobId, std::uint64_t> blobs;

  Result<void> for_each_key(const std::function<bool(AccountId, const KeyValue&)>& visit) const override {
    for (const auto& [account, entries] : accounts)
      for (const auto& [key, value] : entries)
        if (!visit(account, KeyValue{key, value})) return {};
    return {};
  }
  Result<void> for_each_blob(const std::function<bool(BlobId, std::uint64_t)>& visit) const override {
    for (const auto& [id, references] : blobs)
      if (!visit(id, references)) break;
    return {};
  }
};

class Memory final : public MemoryEngine, private References {
 public:
  Memory() = default;
  ~Memory() override { close(); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // ---- Engine
  Result<std::unique_ptr<Snapshot>> read(AccountId account) const override {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Keys> keys;
    if (const auto found = accounts_.find(account); found != accounts_.end()) {
      keys = found->second;
      ++keys->readers;
    }
    return std::make_unique<MemorySnapshot>(*this, std::move(keys));
  }

  net::Task<void> transact(AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs, TxnBody body) override {
    Request request{.account = account, .blobs = std::move(blobs), .body = std::move(body)};
    {
      const std::lock_guard lock(mutex_);
      if (!held_) {
        run_group({&request});
        co_return std::move(request.result);
      }
    }
    co_await suspend([this, &request](Resumption resumption) {
      const std::lock_guard lock(mutex_);
      request.resumption.emplace(std::move(resumption));
      waiting_.push_back(&request);
      if (!held_) run_waiting();
    });
    co_return std::move(request.result);
  }

  net::Task<void> read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override {
    if (cold()) co_await asio::post(asio::use_awaitable);
    co_return decode(blob, offset, length, into);
  }

  Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override {
    if (cold()) return false;
    RELAIS_TRY_VOID(decode(blob, offset, length, into));
    return true;
  }

  net::Task<std::shared_ptr<const EncodedBlob>> take_blob(BlobId blob) const override {
    if (cold()) co_await asio::post(asio::use_awaitable);
    co_return encoded(blob);
  }

  void listen(std::function<void(const ChangeEvent&)> listener) override {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
  }

  Result<std::unique_ptr<ShardView>> view() const override {
    auto view = std::make_unique<MemoryView>();
    const std::lock_guard lock(mutex_);
    for (const auto& [account, keys] : accounts_) view->accounts.emplace(account, keys->entries);
    for (const auto& [id, blob] : blobs_) view->blobs.emplace(id, blob.references);
    return view;
  }

  Result<std::vector<AccountId>> accounts() const override {
    const std::lock_guard lock(mutex_);
    std::vector<AccountId> out;
    for (const auto& [account, keys] : accounts_) out.push_back(account);
    return out;
  }

  net::Task<void> erase_account(AccountId account) override {
    return transact(account, {}, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
      std::vector<std::string> keys;
      const std::string end(kMaxKey + 1, '\xFF');
      RELAIS_TRY_VOID(txn.range(std::string_view("\0", 1), end, [&keys](const KeyValue& entry) { return keys.emplace_back(entry.key), true; }));
      for (const auto& key : keys) RELAIS_TRY_VOID(txn.erase(key));
      return {};
    });
  }

  Result<void> writable() const override {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  Result<EngineStats> stats() const override {
    const std::lock_guard lock(mutex_);
    EngineStats stats{.accounts = accounts_.size(), .blobs = blobs_.size(), .dead_octets = dead_octets_, .segments = 1, .free_octets = UINT64_MAX};
    for (const auto& [account, keys] : accounts_) {
      stats.keys += keys->entries.size();
      for (const auto& [key, value] : keys->entries) stats.index_octets += key.size() + value.size();
    }
    for (const auto& [id, blob] : blobs_) stats.live_octets += blob.octets->stored_size();
    return stats;
  }

  Result<CheckReport> check() const override {
    const std::lock_guard lock(mutex_);
    CheckReport report;
    for (const auto& [account, keys] : accounts_) report.keys += keys->entries.size();
    std::string octets;
    for (const auto& [id, blob] : blobs_) {
      ++report.blobs;
      report.octets += blob.octets->stored_size();
      octets.clear();
      if (corrupt_.contains(id) || !blob.octets->decode(0, UINT64_MAX, octets))
        report.problems.push_back("blob " + std::to_string(static_cast<std::uint64_t>(id)) + ": checksum differs");
    }
    return report;
  }

  net::Task<std::uint64_t> compact(double) override {
    const std::lock_guard lock(mutex_);
    co_return std::exchange(dead_octets_, 0);
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    held_ = false;
    run_waiting();
    state_ = fail(closing());
    closed_ = true;
  }

  // ---- faults
  void arm(MemoryFault fault, std::uint64_t nth) override {
    const std::lock_guard lock(mutex_);
    fault_ = fault;
    fault_at_ = commits_ + nth;
  }
  std::uint64_t commits() const override {
    const std::lock_guard lock(mutex_);
    return commits_;
  }
  void run_bodies_twice(bool on) override {
    const std::lock_guard lock(mutex_);
    twice_ = on;
  }
  void corrupt_blob(BlobId blob) override {
    const std::lock_guard lock(mutex_);
    corrupt_.insert(blob);
  }
  void forget_cache(bool on) override {
    const std::lock_guard lock(mutex_);
    cold_ = on;
  }
  void hold() override {
    const std::lock_guard lock(mutex_);
    held_ = !closed_;
  }
  void release() override {
    const std::lock_guard lock(mutex_);
    held_ = false;
    run_waiting();
  }
  void crash() override {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    state_ = fail(read_only("crashed"));
    held_ = false;
    run_waiting();
  }
  void reopen() override {
    const std::lock_guard lock(mutex_);
    if (!closed_) state_ = {};
  }

  // ---- for MemorySnapshot
  void done(Keys& keys) const {
    const std::lock_guard lock(mutex_);
    --keys.readers;
  }

 private:
  Result<std::uint64_t> references(BlobId blob) const override {
    const auto found = blobs_.find(blob);
    return found == blobs_.end() ? 0 : found->second.references;
  }

  bool cold() const {
    const std::lock_guard lock(mutex_);
    return cold_;
  }

  Result<std::shared_ptr<const EncodedBlob>> encoded(BlobId blob) const {
    const std::lock_guard lock(mutex_);
    if (corrupt_.contains(blob)) return fail(damaged("blob " + std::to_string(static_cast<std::uint64_t>(blob)) + ": checksum differs"));
    const auto found = blobs_.find(blob);
    if (found == blobs_.end()) return fail(no_blob(blob));
    return found->second.octets;
  }

  Result<void> decode(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
    RELAIS_TRY(const auto octets, encoded(blob));
    return octets->decode(offset, length, into);
  }

  void run_waiting() {
    const auto group = std::exchange(waiting_, {});
    if (group.empty()) return;
    run_group(group);
    std::vector<Resumption> resumptions;
    resumptions.reserve(group.size());
    for (auto* request : group) resumptions.push_back(std::move(*request->resumption));
    Resumption::post(std::move(resumptions));
  }

  /// One commit. Holds the mutex.
  void run_group(const std::vector<Request*>& requests) {
    if (!state_) {
      for (auto* request : requests) request->result = state_;
      return;
    }
    const auto fault = ++commits_ == fault_at_ ? std::exchange(fault_, MemoryFault::none) : MemoryFault::none;
    const bool kept = fault == MemoryFault::none || fault == MemoryFault::lost_reply;
    std::vector<ChangeEvent> events;
    for (auto* request : requests) run(*request, kept, events);
    switch (fault) {
      case MemoryFault::none: break;
      case MemoryFault::full:
        for (auto* request : requests)
          if (request->result) request->result = fail(storage_full("armed fault"));
        break;
      case MemoryFault::sync_failed:
      case MemoryFault::lost_reply:
        state_ = fail(read_only("armed fault"));
        for (auto* request : requests)
          if (request->result) request->result = state_;
        break;
    }
    if (kept && listener_)
      for (const auto& event : events) listener_(event);
  }

  void run(Request& request, bool kept, std::vector<ChangeEvent>& events) {
    std::vector<BlobId> ids;
    for (std::size_t i = 0; i < request.blobs.size(); ++i) ids.push_back(static_cast<BlobId>(next_blob_++));
    const auto found = accounts_.find(request.account);
    const KeysReader base(found == accounts_.end() ? nullptr : found->second.get());
    if (twice_) {
      std::pmr::monotonic_buffer_resource arena;
      Overlay thrown_away(base, *this, ids, arena);
      (void)request.body(thrown_away, ids);  // its result is the second run's
    }
    std::pmr::monotonic_buffer_resource arena;
    Overlay overlay(base, *this, ids, arena);
    request.result = request.body(overlay, ids);
    if (!request.result || !kept) return;
    apply(request, ids, overlay);
    events.insert(events.end(), overlay.events().begin(), overlay.events().end());
  }

  void apply(const Request& request, std::span<const BlobId> ids, const Overlay& overlay) {
    if (!overlay.changes().empty()) {
      auto& keys = accounts_[request.account];
      if (!keys) keys = std::make_shared<Keys>();
      auto target = keys->readers == 0 ? keys : std::make_shared<Keys>(Keys{.entries = keys->entries});
      for (const auto& [key, value] : overlay.changes()) {
        if (value) {
          target->entries.insert_or_assign(std::string(key), std::string(*value));
        } else if (const auto at = target->entries.find(key); at != target->entries.end()) {
          target->entries.erase(at);
        }
      }
      keys = std::move(target);  // the old one lives on in its snapshots; what the overlay shows of it is not used any more
      if (keys->entries.empty()) accounts_.erase(request.account);
    }
    for (std::size_t i = 0; i < ids.size(); ++i) blobs_.emplace(ids[i], Blob{.octets = request.blobs[i]});
    for (const auto& [id, change] : overlay.blob_changes()) {
      const auto blob = blobs_.find(id);
      RELAIS_CHECK(blob != blobs_.end());
      blob->second.references = change.now;
      if (change.now != 0) continue;
      dead_octets_ += blob->second.octets->stored_size();
      blobs_.erase(blob);
    }
  }

  mutable std::mutex mutex_;
  // guarded by mutex_
  std::map<AccountId, std::shared_ptr<Keys>> accounts_;
  std::map<BlobId, Blob> blobs_;
  std::set<BlobId> corrupt_;
  std::vector<Request*> waiting_;
  std::function<void(const ChangeEvent&)> listener_;
  Result<void> state_{};
  std::uint64_t next_blob_ = 1;
  std::uint64_t dead_octets_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t fault_at_ = 0;
  MemoryFault fault_ = MemoryFault::none;
  bool held_ = false;
  bool twice_ = false;
  bool cold_ = false;
  bool closed_ = false;
};

MemorySnapshot::~MemorySnapshot() {
  if (keys_) engine_.done(*keys_);
}

Result<bool> MemorySnapshot::try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
  return engine_.try_read_blob(blob, offset, length, into);
}

}  // namespace

std::unique_ptr<MemoryEngine> make_memory_engine() { return std::make_unique<Memory>(); }

}  // namespace relais::storage
