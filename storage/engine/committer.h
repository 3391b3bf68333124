// Group commit: one thread that makes everything that waits durable, together.
#pragma once

#include "base/metrics.h"
#include "net/task.h"
#include "storage/engine/checkpointer.h"
#include "storage/engine/disk_space.h"
#include "storage/engine/faults.h"
#include "storage/engine/group_txn.h"
#include "storage/engine/index.h"
#include "storage/engine/journal.h"
#include "storage/engine/layers.h"
#include "storage/engine/resumption.h"
#include "storage/engine/segment_table.h"
#include "storage/engine/segments.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace relais::storage {

/// A live record that compaction copies: its place changes if it is still where it was found.
struct Move {
  BlobId blob{};
  BlobRow from;
  std::string_view record;  ///< verified octets of the whole record
  BlobRow to{};             ///< filled by the committer
};

/// One waiting change. Lives in the waiting coroutine's frame.
struct CommitRequest {
  AccountId account{};
  std::vector<std::shared_ptr<const EncodedBlob>> blobs{};
  TxnBody body{};                       ///< may be empty
  std::span<Move> moves{};              ///< of compaction
  std::optional<std::uint32_t> drop{};  ///< a segment that leaves the index if nothing in it lives; else the result is Fault::refused
  bool roll = false;                    ///< begin a new segment
  bool patient = false;                 ///< waits a moment for one that is not, to share its sync

  Result<void> result{};
  // the committer's
  std::vector<BlobId> ids{};
  std::vector<BlobRow> places{};
  std::optional<Resumption> resumption{};
};

/// Threads: submit(), state(), room(), flush(), close() any; all else happens on the committer's own thread.
class Committer {
 public:
  struct Limits {
    std::uint64_t min_free;
    std::uint32_t max_group;
    std::uint64_t max_group_octets;
    std::uint64_t journal_size;
  };
  /// What the committer works on. All must outlive it.
  struct Parts {
    const Index& index;
    TableSet& tables;
    SegmentTable& segments;
    Checkpointer& checkpointer;
    const DiskSpace& space;
    FaultInjector* faults;
  };

  Committer(Parts parts, SegmentWriter writer, Journal journal, Limits limits, std::uint64_t next_blob, const std::string& shard);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  /// Suspends until the request is durable or refused; its result says which. The request must live until then.
  asio::awaitable<void> submit(CommitRequest& request);
  void listen(std::function<void(const ChangeEvent&)> listener);
  /// An Error where writes are refused until the engine is reopened.
  Result<void> state() const;
  /// STORAGE_FULL where a transaction would be refused for lack of space. @param with_blobs  false: a smaller reserve suffices
  Result<void> room(bool with_blobs) const;
  /// The index has everything that was acknowledged before. Blocks. @return why it has not
  Result<void> flush();
  /// Finishes what waits, refuses what comes, writes everything to the index where that is possible. Joins the thread.
  void close();

 private:
  using Group = std::vector<CommitRequest*>;
  struct Changes {
    std::map<std::uint32_t, std::int64_t> live;  ///< octets that live more or less, by segment
    std::vector<ChangeEvent> events;
    std::vector<std::uint32_t> dropped;
    bool any = false;
  };
  enum class Outcome : std::uint8_t { done, failed };

  void work();
  bool take(Group& group);
  /// Nothing but patient ones wait, and another one is to be expected soon.
  bool worth_waiting() const;
  void run(Group& group);
  void admit(Group& group);
  Outcome commit(const Group& group);
  Result<void> try_commit(const Group& group);
  Result<void> append(CommitRequest& request);
  Result<void> run_body(CommitRequest& request, GroupTxn& txn, Changes& changes);
  Result<void> apply(const CommitRequest& request, const Overlay& overlay, GroupTxn& txn, Changes& changes);
  Result<void> apply_moves(CommitRequest& request, GroupTxn& txn, Changes& changes);
  void apply_drop(CommitRequest& request, GroupTxn& txn, Changes& changes);
  Result<void> make_durable(GroupTxn& txn, const Changes& changes, bool ids);
  void published(const Changes& changes);
  std::map<std::uint32_t, SegmentRow> rows_after(const Changes& changes) const;
  Result<void> journal_room();
  bool seal(bool idle);
  void fail_all(const Group& group, const Error& error);
  void stop_writes(const Error& reason);
  Result<void> broken() const;
  /// Free space in plenty: files may be lengthened ahead of need.
  bool roomy() const;

  const Parts parts_;
  const Limits limits_;
  const std::string shard_;
  metrics::Counter& commits_;
  metrics::Counter& bodies_;
  metrics::Counter& full_;
  metrics::Gauge& read_only_;
  metrics::Histogram& duration_;

  // the committer thread's alone
  SegmentWriter writer_;
  Journal journal_;
  std::uint64_t next_blob_;
  Version version_;
  MemTable changes_;
  std::string headers_;
  std::vector<std::string_view> pieces_;  // of one record
  std::vector<std::string_view> octets_;  // of all records of the group, as they go into the journal
  std::vector<BlobRow> octets_places_;
  std::uint64_t group_octets_ = 0;
  std::vector<std::byte> arena_buffer_;
  std::pmr::monotonic_buffer_resource arena_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable flushed_;
  // guarded by mutex_
  Group queue_;
  std::function<void(const ChangeEvent&)> listener_;
  Result<void> state_{};
  std::uint64_t flushes_wanted_ = 0;
  std::uint64_t flushes_done_ = 0;
  bool flush_sealed_ = false;  // the last of those could seal everything
  bool closing_ = false;
  std::size_t patient_ = 0;                                // of queue_
  std::chrono::steady_clock::time_point patient_since_{};  // the first of those that wait now
  std::chrono::steady_clock::time_point pressing_at_{};    // the last that was not patient

  std::thread thread_;  // last: it starts when all else is there
};

}  // namespace relais::storage
