// Copies the live records of mostly dead segments and removes those segments.
//
// A record is copied as it is, verified. Its new place becomes valid in the same commit that takes the old place's octets off the
// segment's live count, so a crash between two steps leaves every blob with exactly one place; copies that no row names are dead octets.
// The file is removed after its row is gone; a crash between leaves a file without row, which the next open removes.
#include "storage/engine/compaction.h"

#include "base/log.h"
#include "storage/engine/blob_reader.h"
#include "storage/engine/errors.h"

#include <algorithm>

namespace relais::storage {
namespace {

/// The row that names the record at this place, or nullopt where the record is dead.
Result<std::optional<BlobRow>> live_row(const View& view, const RecordHeader& header, std::uint32_t segment, std::uint64_t offset) {
  RELAIS_TRY(auto row, blob_row(view, header.blob()));
  if (!row || row->segment != segment || row->offset != offset) return std::nullopt;
  if (row->length != header.length()) return fail(damaged("blob row and record differ in length"));
  return row;
}

constexpr std::uint64_t kBatchOctets = 4ULL << 20;  // copied per commit: short enough not to hold up deliveries
constexpr std::size_t kBatchScanned = 20'000;       // records looked at per batch, live or not

}  // namespace

std::vector<std::uint32_t> Compaction::victims(double dead_share) const {
  std::vector<std::pair<double, std::uint32_t>> found;
  for (const auto& [segment, row] : segments_.all()) {
    if (row.length <= kFileHeaderSize) continue;
    const double share = static_cast<double>(row.dead()) / static_cast<double>(row.length - kFileHeaderSize);
    if (row.dead() != 0 && share > dead_share) found.emplace_back(share, segment);
  }
  std::ranges::sort(found, std::greater{});  // what frees most for least first: on a full disk that makes room for the others
  std::vector<std::uint32_t> out;
  for (const auto& [share, segment] : found) out.push_back(segment);
  return out;
}

net::Task<std::uint64_t> Compaction::run(double dead_share) {
  const auto segments = victims(dead_share);
  std::uint64_t freed = 0;
  if (segments.empty()) co_return freed;
  const auto newest = segments_.all().rbegin()->first;
  if (std::ranges::find(segments, newest) != segments.end()) {  // nothing is appended any more to what is being compacted
    CommitRequest roll{.roll = true};
    co_await committer_.submit(roll);
    RELAIS_CO_TRY_VOID(std::move(roll.result));
  }
  for (const auto segment : segments) {
    auto done = co_await compact_segment(segment);
    if (done) {
      freed += *done;
    } else if (done.error().fault == Fault::corrupt) {
      log::event(log::Level::error, "storage.segment_damaged", {{"segment", segment}, {"detail", done.error().detail}});
    } else {
      co_return std::unexpected(std::move(done).error());
    }
  }
  co_return freed;
}

net::Task<std::uint64_t> Compaction::compact_segment(std::uint32_t segment) {
  const auto row = segments_.row(segment);
  if (!row) co_return 0;
  std::uint64_t copied = 0;
  for (std::uint64_t offset = kFileHeaderSize; offset < row->length;) {
    const auto job = [this, segment, offset, end = row->length] { return scan(segment, offset, end); };
    RELAIS_CO_TRY(auto batch, co_await pool_.run(job));
    offset = batch.next;
    if (batch.moves.empty()) continue;
    CommitRequest request{.moves = batch.moves};
    co_await committer_.submit(request);
    RELAIS_CO_TRY_VOID(std::move(request.result));
    for (const auto& move : batch.moves) copied += move.record.size();
  }
  CommitRequest drop{.drop = segment};
  co_await committer_.submit(drop);
  RELAIS_CO_TRY_VOID(std::move(drop.result));
  const auto remove = [this, segment] { return folder_.remove(segment); };
  RELAIS_CO_TRY_VOID(co_await pool_.run(remove));
  co_return row->length > copied ? row->length - copied : 0;
}

Result<Compaction::Batch> Compaction::scan(std::uint32_t segment, std::uint64_t offset, std::uint64_t end) const {
  RELAIS_TRY(const auto file, folder_.open(segment));
  RELAIS_TRY(const auto view, tables_.view(index_));
  Batch batch;
  batch.next = offset;
  std::vector<std::size_t> starts;
  std::string header_octets;
  for (std::size_t scanned = 0; batch.next < end && batch.octets.size() < kBatchOctets && scanned < kBatchScanned; ++scanned) {
    if (end - batch.next < record_header_size(0)) return fail(damaged("segment " + std::to_string(segment) + " ends within a record"));
    header_octets.resize(record_header_size(0));
    RELAIS_TRY_VOID(read_exactly(*file, batch.next, header_octets.data(), header_octets.size()));
    RELAIS_TRY(const auto header_size, RecordHeader::size_of(header_octets));
    if (header_size > end - batch.next) return fail(damaged("segment " + std::to_string(segment) + " ends within a record header"));
    const auto have = header_octets.size();
    header_octets.resize(header_size);
    RELAIS_TRY_VOID(read_exactly(*file, batch.next + have, header_octets.data() + have, header_size - have));
    RELAIS_TRY(const auto header, RecordHeader::decode(header_octets));
    if (header.length() > end - batch.next) return fail(damaged("segment " + std::to_string(segment) + " ends within a record"));
    RELAIS_TRY(const auto row, live_row(view, header, segment, batch.next));
    if (row) {
      starts.push_back(batch.octets.size());
      batch.octets += header_octets;
      const auto body = static_cast<std::size_t>(header.length()) - header_size;
      const auto before = batch.octets.size();
      batch.octets.resize(before + body);
      RELAIS_TRY_VOID(read_exactly(*file, batch.next + header_size, batch.octets.data() + before, body));
      batch.moves.push_back(Move{.blob = header.blob(), .from = *row, .record = {}});
    }
    batch.next += header.length();
  }
  for (std::size_t i = 0; i < batch.moves.size(); ++i) {
    auto& move = batch.moves[i];
    move.record = std::string_view(batch.octets).substr(starts[i], static_cast<std::size_t>(move.from.length));
    RELAIS_TRY_VOID(verify_record(move.record, move.blob, false));
  }
  return batch;
}

}  // namespace relais::storage
