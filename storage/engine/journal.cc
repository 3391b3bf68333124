// Appends, syncs and replays the journal.
#include "storage/engine/journal.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "storage/engine/errors.h"
#include "storage/engine/index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace relais::storage {
namespace {

constexpr std::uint64_t kAhead = 1ULL << 20;  // octets by which a new file grows
constexpr std::array<char, 64 * 1024> kZeros{};
static_assert(kAhead % kZeros.size() == 0 && kJournalAlign <= kZeros.size());

constexpr std::uint64_t align(std::uint64_t octets) { return (octets + kJournalAlign - 1) / kJournalAlign * kJournalAlign; }

Error write_error(int error) {
  const auto detail = disk_error("write journal", error).detail;
  return is_full(error) ? storage_full(detail) : read_only(detail);
}

/// @return octets read, less than asked for at the end of the file
Result<std::size_t> read_at(int fd, char* to, std::size_t size, std::uint64_t at) {
  std::size_t done = 0;
  while (done < size) {
    const auto got = ::pread(fd, to + done, size - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(disk_error("read journal", errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<std::uint64_t> size_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail(disk_error("stat journal", errno));
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

Result<Journal> Journal::open(const std::filesystem::path& folder, const ShardUuid& shard, bool make, FaultInjector* faults) {
  Journal journal(shard, faults);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto name = folder / (std::to_string(i) + ".jnl");
    journal.fds_[i] = ::open(name.c_str(), O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
    if (journal.fds_[i] < 0 && errno == ENOENT) return fail(damaged(name.string() + " is missing: acknowledged changes may be lost"));
    if (journal.fds_[i] < 0) return fail(disk_error("open " + name.string(), errno));
    RELAIS_TRY(journal.sizes_[i], size_of(journal.fds_[i]));
  }
  return journal;
}

Journal::Journal(Journal&& other) noexcept
    : shard_(other.shard_),
      faults_(other.faults_),
      fds_(std::exchange(other.fds_, {-1, -1})),
      sizes_(other.sizes_),
      epoch_(other.epoch_),
      end_(other.end_),
      parts_(std::move(other.parts_)) {}

Journal::~Journal() {
  for (const int fd : fds_)
    if (fd >= 0) ::close(fd);
}

void Journal::start(std::uint64_t epoch) noexcept {
  epoch_ = epoch;
  end_ = 0;
}

Result<void> Journal::append(Version version, std::string_view rows, std::span<const std::string_view> octets, bool ahead) {
  JournalHeader header{.epoch = epoch_, .version = version, .rows = static_cast<std::uint32_t>(rows.size())};
  if (rows.size() > UINT32_MAX) return fail(Fault::refused, "transaction is too large", "LIMIT");
  for (const auto part : octets) header.octets += part.size();
  header.checksum = crc32c(rows, journal_checksum(shard_, header));
  for (const auto part : octets) header.checksum = crc32c(part, header.checksum);
  const auto encoded = encode_journal_header(header);
  parts_.clear();
  const auto add = [this](std::string_view part) {
    if (!part.empty()) parts_.push_back({const_cast<char*>(part.data()), part.size()});
  };
  add(encoded);
  add(rows);
  for (const auto part : octets) add(part);
  // Whole pages: of one that is written in part the kernel would first have to read the rest.
  add(std::string_view(kZeros.data(), static_cast<std::size_t>(align(header.size()) - header.size())));

  int error = faults_ != nullptr ? faults_->fail_at(FaultPoint::journal_write) : 0;
  if (error != 0) return fail(write_error(error));
  const int fd = fds_[epoch_ % 2];
  auto at = static_cast<off_t>(end_);
  for (auto next = parts_.begin(); next != parts_.end();) {
    const auto count = std::min<std::ptrdiff_t>(parts_.end() - next, IOV_MAX);
    const auto wrote = ::pwritev(fd, &*next, static_cast<int>(count), at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail(write_error(wrote < 0 ? errno : ENOSPC));
    at += wrote;
    auto done = static_cast<std::size_t>(wrote);
    for (; next != parts_.end() && done >= next->iov_len; ++next) done -= next->iov_len;
    if (done != 0) {
      next->iov_base = static_cast<char*>(next->iov_base) + done;
      next->iov_len -= done;
    }
  }
  if (const auto end = static_cast<std::uint64_t>(at); end > sizes_[epoch_ % 2]) {
    sizes_[epoch_ % 2] = end;
    if (ahead) write_ahead(fd, end);
  }
  error = faults_ != nullptr ? faults_->fail_at(FaultPoint::journal_sync) : 0;
  if (error == 0 && ::fdatasync(fd) != 0) error = errno;
  // Never tried again: the kernel may have dropped the pages and would call the next one a success.
  if (error != 0) return fail(read_only(disk_error("fdatasync journal", error).detail));
  end_ = align(static_cast<std::uint64_t>(at));
  return {};
}

/// An attempt: what fails here costs time later, nothing else.
void Journal::write_ahead(int fd, std::uint64_t end) {
  std::array<iovec, kAhead / kZeros.size()> pieces;
  pieces.fill({const_cast<char*>(kZeros.data()), kZeros.size()});
  if (::pwritev(fd, pieces.data(), static_cast<int>(pieces.size()), static_cast<off_t>(end)) == static_cast<ssize_t>(kAhead)) {
    sizes_[epoch_ % 2] = end + kAhead;
  } else {
    static_cast<void>(::ftruncate(fd, static_cast<off_t>(end)));  // the disk is filling up: leave the room to mail
  }
}

// ---- replay

Result<void> Journal::replay(const JournalRow& after, const std::function<Result<void>(const Record&)>& visit) {
  RELAIS_TRY_VOID(check_age(after));
  start(after.epoch);
  Version last = after.version;
  std::uint64_t last_at = 0;
  // At most two epochs can be missing from the index: the one that was being written to it, and the one after.
  RELAIS_TRY_VOID(read_epoch(after.epoch, last, last_at, visit));
  RELAIS_TRY_VOID(read_epoch(after.epoch + 1, last, last_at, visit));
  return last == after.version ? Result<void>() : settle(last_at);
}

/// With an index that is older than the journal all that came between would look like what a crash had left. A file is overwritten only
/// once the index has what it held, so that is an index of a backup, or one whose disk did not write what it said it had.
Result<void> Journal::check_age(const JournalRow& after) const {
  for (std::size_t i = 0; i < 2; ++i) {
    RELAIS_TRY(const auto size, size_of(fds_[i]));
    std::string buffer;
    JournalHeader header;
    RELAIS_TRY(const bool whole, read_record(fds_[i], 0, size, buffer, header));
    if (whole && header.epoch > after.epoch + 1)
      return fail(damaged("journal " + std::to_string(i) + ".jnl is of epoch " + std::to_string(header.epoch) + ", the index of epoch " +
                          std::to_string(after.epoch) + ": the index is too old"));
  }
  return {};
}

/// The last record's writer may have been killed between its write and its sync. From here on readers see it, and later records follow it,
/// so it is synced now. It is written anew first: after a failed sync the kernel may hold it in memory and not know any more that the disk
/// lacks it.
Result<void> Journal::settle(std::uint64_t at) {
  const int fd = fds_[epoch_ % 2];
  std::string octets(static_cast<std::size_t>(end_ - at), '\0');
  RELAIS_TRY(const auto got, read_at(fd, octets.data(), octets.size(), at));
  for (std::size_t done = 0; done < got;) {
    const auto wrote = ::pwrite(fd, octets.data() + done, got - done, static_cast<off_t>(at + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail(write_error(wrote < 0 ? errno : ENOSPC));
    done += static_cast<std::size_t>(wrote);
  }
  int error = faults_ != nullptr ? faults_->fail_at(FaultPoint::journal_sync) : 0;
  if (error == 0 && ::fdatasync(fd) != 0) error = errno;
  if (error != 0) return fail(read_only(disk_error("fdatasync journal", error).detail));
  return {};
}

Result<void> Journal::read_epoch(std::uint64_t epoch, Version& last, std::uint64_t& last_at,
                                 const std::function<Result<void>(const Record&)>& visit) {
  const int fd = fds_[epoch % 2];
  RELAIS_TRY(const auto size, size_of(fd));
  std::string buffer;
  std::uint64_t at = 0;
  while (true) {
    JournalHeader header;
    RELAIS_TRY(const bool whole, read_record(fd, at, size, buffer, header));
    if (!whole || header.epoch != epoch || header.version != last + 1) break;
    const std::string_view all(buffer);
    RELAIS_TRY_VOID(visit({.header = header, .rows = all.substr(0, header.rows), .octets = all.substr(header.rows)}));
    last = header.version;
    last_at = at;
    at = align(at + header.size());
    epoch_ = epoch;
    end_ = at;
  }
  RELAIS_TRY(const bool more, followed(fd, at, size, epoch, last));
  if (more)
    return fail(damaged("journal " + std::to_string(epoch % 2) + ".jnl is damaged at octet " + std::to_string(at) +
                        ": acknowledged changes follow"));
  return {};
}

/// True where a whole record starts at `at`; its rows and octets are then in the buffer.
Result<bool> Journal::read_record(int fd, std::uint64_t at, std::uint64_t size, std::string& buffer, JournalHeader& header) const {
  std::array<char, kJournalHeaderSize> octets{};
  RELAIS_TRY(const auto got, read_at(fd, octets.data(), octets.size(), at));
  const auto decoded = decode_journal_header({octets.data(), got});
  if (!decoded || decoded->octets > size || decoded->size() > size - at) return false;
  header = *decoded;
  buffer.resize(static_cast<std::size_t>(header.rows + header.octets));
  RELAIS_TRY(const auto rest, read_at(fd, buffer.data(), buffer.size(), at + kJournalHeaderSize));
  return rest == buffer.size() && crc32c(buffer, journal_checksum(shard_, header)) == header.checksum;
}

/// True where a later record of the epoch lies beyond the end that was found. A record is written only after the one before it was synced,
/// so the end is then no torn write but damage.
Result<bool> Journal::followed(int fd, std::uint64_t at, std::uint64_t size, std::uint64_t epoch, Version last) const {
  std::string buffer;
  for (; at < size; at += kJournalAlign) {
    std::array<char, kJournalHeaderSize> octets{};
    RELAIS_TRY(const auto got, read_at(fd, octets.data(), octets.size(), at));
    const auto header = decode_journal_header({octets.data(), got});
    if (!header || header->epoch != epoch || header->version <= last) continue;
    JournalHeader found;
    RELAIS_TRY(const bool whole, read_record(fd, at, size, buffer, found));
    if (whole) return true;
  }
  return false;
}

}  // namespace relais::storage
