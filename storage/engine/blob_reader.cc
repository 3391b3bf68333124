// Reads, verifies and decodes records of segment files.
#include "storage/engine/blob_reader.h"

#include "storage/engine/errors.h"
#include "storage/engine/segment_format.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

namespace relais::storage {
namespace {

constexpr std::size_t kFirstRead = 4096;  // octets of a large record that are read for its header

/// Each thread's buffer for stored octets.
char* buffer() {
  thread_local const auto octets = std::make_unique_for_overwrite<char[]>(kWholeRead);
  return octets.get();
}

Error read_error(const SegmentFile& file, int error) { return disk_error("read segment " + std::to_string(file.number()), error); }
Error ended(const SegmentFile& file) { return damaged("segment " + std::to_string(file.number()) + " ends within a record"); }

/// @return octets in the buffer, all of `size`; nullopt where it would have to wait
class Source {
 public:
  Source(const SegmentFolder& folder, const SegmentFile& file, ReadMode mode) noexcept : folder_(folder), file_(file), mode_(mode) {}

  Result<bool> read(std::uint64_t offset, char* to, std::size_t size) const {
    if (mode_ == ReadMode::wait || folder_.in_memory()) {
      RELAIS_TRY_VOID(read_exactly(file_, offset, to, size));
      return true;
    }
    if (!folder_.nowait()) return false;
    iovec part{to, size};
    const auto got = ::preadv2(file_.fd(), &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (got == static_cast<ssize_t>(size)) return true;
    if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) folder_.no_nowait();
    return false;  // not cached, cached in part, interrupted, or failing: the waiting read finds out
  }

 private:
  const SegmentFolder& folder_;
  const SegmentFile& file_;
  const ReadMode mode_;
};

/// Walks the chunks that a range touches. `stored(at, size)` gives their octets, `at` counted from the end of the header.
template <class Stored>
Result<bool> decode_range(const RecordHeader& header, std::uint64_t offset, std::uint64_t length, std::string& into, Stored stored) {
  const std::uint64_t end = length > std::numeric_limits<std::uint64_t>::max() - offset ? std::numeric_limits<std::uint64_t>::max() : offset + length;
  std::uint64_t raw = 0;
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < header.chunks() && raw < end; ++i) {
    const auto info = header.chunk(i);
    const std::uint64_t next = raw + info.raw_size;
    if (next > offset) {
      RELAIS_TRY(const std::optional<std::string_view> octets, stored(at, info.stored_size));
      if (!octets) return false;
      const std::uint64_t from = std::max(raw, offset) - raw;
      RELAIS_TRY_VOID(decode_chunk(info, *octets, from, std::min(next, end) - raw - from, into));
    }
    raw = next;
    at += info.stored_size;
  }
  return true;
}

Result<RecordHeader> header_of(std::string_view octets, const BlobRow& row, BlobId blob) {
  RELAIS_TRY(auto header, RecordHeader::decode(octets));
  if (header.blob() != blob || header.length() != row.length) return fail(damaged("record of another blob"));
  return header;
}

Result<bool> read_small(const Source& source, const BlobRow& row, BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) {
  char* const octets = buffer();
  RELAIS_TRY(const bool read, source.read(row.offset, octets, static_cast<std::size_t>(row.length)));
  if (!read) return false;
  RELAIS_TRY(const auto header, header_of({octets, static_cast<std::size_t>(row.length)}, row, blob));
  const std::string_view chunks(octets + header.header_size(), static_cast<std::size_t>(row.length) - header.header_size());
  return decode_range(header, offset, length, into, [chunks](std::uint64_t at, std::uint32_t size) -> Result<std::optional<std::string_view>> {
    return chunks.substr(static_cast<std::size_t>(at), size);  // the header's lengths add up: it was decoded
  });
}

Result<bool> read_large(const Source& source, const BlobRow& row, BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) {
  std::string octets(kFirstRead, '\0');
  RELAIS_TRY(const bool first, source.read(row.offset, octets.data(), octets.size()));
  if (!first) return false;
  RELAIS_TRY(const auto size, RecordHeader::size_of(octets));
  if (size > row.length) return fail(damaged("record header is longer than its record"));
  if (size > octets.size()) {
    octets.resize(size);
    RELAIS_TRY(const bool rest, source.read(row.offset + kFirstRead, octets.data() + kFirstRead, size - kFirstRead));
    if (!rest) return false;
  }
  RELAIS_TRY(const auto header, header_of(octets, row, blob));
  const std::uint64_t chunks = row.offset + header.header_size();
  return decode_range(header, offset, length, into, [&source, chunks](std::uint64_t at, std::uint32_t stored) -> Result<std::optional<std::string_view>> {
    if (stored > kWholeRead) return fail(damaged("chunk size out of range"));
    RELAIS_TRY(const bool read, source.read(chunks + at, buffer(), stored));
    if (!read) return std::nullopt;
    return std::string_view(buffer(), stored);
  });
}

// Says where the damage is.
void locate(Error& error, const BlobRow& row, BlobId blob) {
  if (error.fault != Fault::corrupt) return;
  error.detail += " (blob " + std::to_string(static_cast<std::uint64_t>(blob)) + ", segment " + std::to_string(row.segment) + " at " +
                  std::to_string(row.offset) + ")";
}

Result<std::shared_ptr<const EncodedBlob>> take_whole(const Source& source, const SegmentFile& file, const BlobRow& row, BlobId blob) {
  if (row.length > kWholeRead) {  // a damaged row must not ask for any amount of memory
    struct stat status{};
    if (::fstat(file.fd(), &status) != 0) return fail(read_error(file, errno));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (row.offset > size || row.length > size - row.offset) return fail(ended(file));
  }
  std::string octets(static_cast<std::size_t>(row.length), '\0');
  RELAIS_TRY(const bool read, source.read(row.offset, octets.data(), octets.size()));
  if (!read) return nullptr;
  RELAIS_TRY(const auto header, header_of(octets, row, blob));
  RELAIS_TRY_VOID(verify_record(octets, blob, false));
  std::vector<Chunk> chunks;
  chunks.reserve(header.chunks());
  std::size_t at = header.header_size();
  for (std::uint32_t i = 0; i < header.chunks(); ++i) {
    const auto info = header.chunk(i);
    chunks.push_back({info, octets.substr(at, info.stored_size)});
    at += info.stored_size;
  }
  return make_blob({}, std::make_shared<const std::vector<Chunk>>(std::move(chunks)));
}

}  // namespace

Result<void> read_exactly(const SegmentFile& file, std::uint64_t offset, char* to, std::size_t size) {
  while (size != 0) {
    const auto got = ::pread(file.fd(), to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(read_error(file, errno));
    if (got == 0) return fail(ended(file));
    to += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

Result<bool> read_record(const SegmentFolder& folder, const SegmentFile& file, const BlobRow& row, BlobId blob, std::uint64_t offset,
                         std::uint64_t length, ReadMode mode, std::string& into) {
  const std::size_t before = into.size();
  const Source source(folder, file, mode);
  auto read = row.length <= kWholeRead ? read_small(source, row, blob, offset, length, into) : read_large(source, row, blob, offset, length, into);
  if (!read || !*read) into.resize(before);
  if (!read) locate(read.error(), row, blob);
  return read;
}

Result<std::shared_ptr<const EncodedBlob>> take_record(const SegmentFolder& folder, const SegmentFile& file, const BlobRow& row, BlobId blob, ReadMode mode) {
  auto taken = take_whole(Source(folder, file, mode), file, row, blob);
  if (!taken) locate(taken.error(), row, blob);
  return taken;
}

}  // namespace relais::storage
