// Reads messages back and digests them.
#include "storage/model/digests.h"

#include "storage/blob.h"
#include "storage/model/digest.h"
#include "storage/model/fetch.h"
#include "storage/model/walk.h"
#include "storage/model/work.h"

#include <string>

namespace relais::storage::model {
namespace {

constexpr std::uint64_t kAtOnce = 4U << 20U;  // octets that one step digests: some ten milliseconds
constexpr std::size_t kMessagesAtOnce = 1'000;
constexpr std::uint64_t kPiece = 4 * kChunkSize;  // octets in memory at one time; whole chunks, so that none is decoded twice

std::unexpected<Error> other_size() {
  return fail(Fault::corrupt, "stored message is damaged", "SERVERBUG", "content is not as long as its record says");
}

}  // namespace

Result<SomeDigests> digest_some(const Engine& engine, AccountId account, MailboxId mailbox, const NumberSet& uids, Uid from) {
  RELAIS_TRY(const auto snapshot, engine.read(account));
  RELAIS_TRY(const auto record, read_mailbox(*snapshot, mailbox));
  if (!record) return no_such_mailbox();
  SomeDigests some;
  std::vector<StoredContent> contents;
  std::uint64_t octets = 0;
  RELAIS_TRY_VOID(walk_records(*snapshot, mailbox, uids, from, kEverything, [&](const HotRecord& hot) {
    if (contents.size() == kMessagesAtOnce || octets >= kAtOnce) {
      some.next = hot.uid;
      return false;
    }
    contents.push_back({hot.uid, hot.size, {}});
    octets += hot.size;
    return true;
  }));
  Sha256 sha;
  std::string piece;
  for (auto& content : contents) {
    RELAIS_TRY(const auto message, snapshot->get(message_key(mailbox, content.uid)));
    if (!message) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "hot record without message record");
    RELAIS_TRY(content.blob, decode_message_blob(*message));
    for (std::uint64_t at = 0; at < content.size || at == 0; at += kPiece) {
      piece.clear();
      const auto read = snapshot->try_read_blob(content.blob, at, kPiece, piece);
      if (!read && !is_gone(read.error())) return std::unexpected(read.error());
      if (!read || !*read) {  // not cached, or reclaimed since the snapshot: the engine itself has to look
        some.to_read = content;
        some.next = content.uid == UINT32_MAX ? 0 : content.uid + 1;
        return some;
      }
      sha.add(piece);
      if (at + piece.size() != std::min<std::uint64_t>(at + kPiece, content.size)) return other_size();
    }
    some.digests.push_back({content.uid, content.size, sha.finish()});
  }
  return some;
}

net::Task<std::optional<ContentDigest>> digest_waiting(const Engine& engine, net::WorkerPool* pool, StoredContent content) {
  Sha256 sha;
  std::string piece;
  for (std::uint64_t at = 0; at < content.size || at == 0; at += kPiece) {
    piece.clear();
    auto read = co_await engine.read_blob(content.blob, at, kPiece, piece);
    if (!read && is_gone(read.error())) co_return std::nullopt;
    if (!read) co_return std::unexpected(std::move(read).error());
    if (at + piece.size() != std::min<std::uint64_t>(at + kPiece, content.size)) co_return other_size();
    const auto job = [&sha, &piece]() -> Result<void> {
      sha.add(piece);
      return {};
    };
    if (pool == nullptr) {
      RELAIS_CO_TRY_VOID(job());
    } else {
      RELAIS_CO_TRY_VOID(co_await pool->run(job));
    }
  }
  co_return ContentDigest{content.uid, content.size, sha.finish()};
}

}  // namespace relais::storage::model
