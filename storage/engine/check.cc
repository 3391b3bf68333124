// Walks entries, blob rows and segments and verifies each.
#include "storage/engine/check.h"

#include "base/encode.h"
#include "storage/engine/blob_reader.h"
#include "storage/engine/errors.h"

#include <map>

namespace relais::storage {
namespace {

constexpr std::size_t kMaxProblems = 1000;
const std::string kBeyondKeys(kAccountSize + kMaxKey + 1, '\xFF');

class Check {
 public:
  Check(const Index& index, const TableSet& tables, const SegmentFolder& folder) : index_(index), tables_(tables), folder_(folder) {}

  Result<CheckReport> run() {
    // Compaction may remove a segment after its rows changed, so a problem counts only if it is still there in a newer view.
    RELAIS_TRY(const auto view, tables_.view(index_));
    const Layers entries(view, RowPrefix::raw_entries());
    RELAIS_TRY_VOID(entries.top().range({}, kBeyondKeys, [this](const KeyValue& row) { return entry(row.key, row.value); }));
    const Layers segments(view, RowPrefix(RowKind::segment));
    RELAIS_TRY_VOID(segments.top().range({}, kBeyondKeys, [this](const KeyValue& row) { return segment(row); }));
    for (auto& [number, counted] : segments_) file(number, counted);
    const Layers blobs(view, RowPrefix(RowKind::blob));
    RELAIS_TRY_VOID(blobs.top().range({}, kBeyondKeys, [this](const KeyValue& row) {
      return blob(static_cast<BlobId>(Decoder(row.key).u64()), decode_blob_row(row.value)), true;
    }));
    for (const auto& [segment, counted] : segments_)
      if (counted.live != counted.row.live)
        problem("segment " + std::to_string(segment) + ": its row says " + std::to_string(counted.row.live) + " live octets, its blobs have " +
                std::to_string(counted.live));
    return std::move(report_);
  }

 private:
  struct Counted {
    SegmentRow row;
    std::uint64_t live = 0;
  };

  void problem(std::string line) {
    if (report_.problems.size() < kMaxProblems) report_.problems.push_back(std::move(line));
  }

  bool entry(std::string_view key, std::string_view stored) {
    ++report_.keys;
    if (!account_of(key)) problem("entry " + to_hex(key) + " has no account");
    if (const auto value = entry_value(key, stored); !value) problem(value.error().detail);
    return true;
  }

  bool segment(const KeyValue& row) {
    const auto number = Decoder(row.key).u32();
    if (const auto decoded = decode_segment_row(row.value)) {
      segments_.emplace(number, Counted{*decoded});
    } else {
      problem("segment " + std::to_string(number) + ": " + decoded.error().detail);
    }
    return true;
  }

  void file(std::uint32_t segment, const Counted& counted) {
    if (const auto opened = folder_.open(segment); !opened) {
      if (still_there(segment)) problem(opened.error().detail);
      return;
    }
    if (const auto size = folder_.file_size(segment); size && *size < counted.row.length)
      problem("segment " + std::to_string(segment) + " has " + std::to_string(*size) + " octets, " + std::to_string(counted.row.length) + " were acknowledged");
  }

  bool still_there(std::uint32_t segment) const {
    const auto view = tables_.view(index_);
    if (!view) return true;
    const auto key = segment_key(segment);
    const auto row = Layers(*view, RowPrefix(RowKind::segment)).top().get({key.data(), key.size()});
    return !row || *row;
  }

  void blob(BlobId id, const Result<BlobRow>& row) {
    ++report_.blobs;
    const auto name = "blob " + std::to_string(static_cast<std::uint64_t>(id)) + ": ";
    if (!row) return problem(name + row.error().detail);
    report_.octets += row->length;
    const auto counted = segments_.find(row->segment);
    if (counted == segments_.end()) return problem(name + "lies in segment " + std::to_string(row->segment) + ", which the index does not know");
    counted->second.live += row->length;
    const auto end = counted->second.row.length;
    if (row->offset < kFileHeaderSize || row->offset > end || row->length > end - row->offset) return problem(name + "lies beyond the end of its segment");
    if (const auto verified = record(id, *row); !verified && same_row(id, *row)) problem(name + verified.error().detail);
  }

  /// False where compaction has moved the blob, or it was released, since the view was taken.
  bool same_row(BlobId id, const BlobRow& row) const {
    const auto view = tables_.view(index_);
    const auto now = view ? blob_row(*view, id) : fail(view.error());
    return !now || (*now && (*now)->same_place(row));
  }

  Result<void> record(BlobId id, const BlobRow& row) {
    RELAIS_TRY(const auto file, folder_.open(row.segment));
    decoded_.clear();
    if (row.length <= kWholeRead) {
      stored_.resize(static_cast<std::size_t>(row.length));
      RELAIS_TRY_VOID(read_exactly(*file, row.offset, stored_.data(), stored_.size()));
      return verify_record(stored_, id, true);
    }
    // A large one in steps, so that memory stays bounded.
    for (std::uint64_t at = 0;; at += kStep) {
      decoded_.clear();
      RELAIS_TRY_VOID(read_record(folder_, *file, row, id, at, kStep, ReadMode::wait, decoded_));
      if (decoded_.size() < kStep) return {};
    }
  }

  static constexpr std::uint64_t kStep = 4ULL << 20;
  const Index& index_;
  const TableSet& tables_;
  const SegmentFolder& folder_;
  CheckReport report_;
  std::map<std::uint32_t, Counted> segments_;
  std::string stored_;
  std::string decoded_;
};

}  // namespace

Result<CheckReport> check_shard(const Index& index, const TableSet& tables, const SegmentFolder& folder) { return Check(index, tables, folder).run(); }

}  // namespace relais::storage
