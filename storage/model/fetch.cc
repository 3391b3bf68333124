// Batches: hot records first, then a walk of the message records beside them.
#include "storage/model/fetch.h"

#include "base/check.h"
#include "storage/model/body_form.h"
#include "storage/model/keys.h"
#include "storage/model/records.h"
#include "storage/model/walk.h"
#include "storage/model/work.h"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <utility>

namespace relais::storage::model {
namespace {

// Stepping over this many unwanted message records costs about as much as looking the next one up.
constexpr Uid kSkipDistance = 8;

std::string_view MessageView::* const kTexts[] = {&MessageView::uidl,  &MessageView::envelope,      &MessageView::body_structure, &MessageView::body,
                                                  &MessageView::parts, &MessageView::header_fields, &MessageView::content};

constexpr std::uint32_t kColdFields = kFetchMeta | kFetchEnvelope | kFetchBodyStructure | kFetchBody | kFetchParts | kFetchHeaderFields | kFetchContent;

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};

class BatchReader {
 public:
  BatchReader(const Snapshot& snapshot, MailboxId mailbox, const FetchRequest& request, FetchBatch& batch, std::vector<PendingContent>& pending)
      : snapshot_(snapshot), mailbox_(mailbox), request_(request), batch_(batch), pending_(pending) {}

  Result<void> run() {
    RELAIS_TRY_VOID(read_hot());
    if ((request_.fields & kColdFields) == 0) return {};
    const auto count = batch_.messages.size();
    for (std::size_t i = 0; i < count && !full_;) {
      auto end = i + 1;
      while (end < count && batch_.messages[end].uid - batch_.messages[end - 1].uid <= kSkipDistance) ++end;
      RELAIS_TRY_VOID(end - i < 3 ? read_each(i, end) : read_run(i, end));
      i = end;
    }
    if (full_) {
      batch_.next = batch_.messages[filled_].uid;
      batch_.messages.resize(filled_);
    }
    return {};
  }

 private:
  // With contents the sizes tell how many messages fit: the others' records need not be read in vain.
  Result<void> read_hot() {
    const bool contents = (request_.fields & kFetchContent) != 0;
    const auto limit = std::max<std::uint32_t>(request_.max_messages, 1);
    std::uint64_t octets = 0;
    const auto since = request_.changed_since;
    const auto take = [&](const HotRecord& record) {
      if (record.mod_seq <= since) return true;
      if (batch_.messages.size() == limit || octets > request_.max_octets) {
        batch_.next = record.uid;
        return false;
      }
      if (contents && record.size <= request_.content_limit) octets += record.size;
      auto& message = batch_.messages.emplace_back();
      message.uid = record.uid;
      message.size = record.size;
      message.flags = record.flags;
      message.mod_seq = record.mod_seq;
      return true;
    };
    if (since == 0) return walk_records(snapshot_, mailbox_, *request_.uids, request_.first, kEverything, take);
    const auto newer = overloaded{[since](const GroupRecord& group) { return group.max_mod_seq > since; },
                                  [since](const ChunkView& chunk) { return chunk.max_mod_seq() > since; }};
    return walk_records(snapshot_, mailbox_, *request_.uids, request_.first, newer, take);
  }

  // Message records of [begin, end), which lie close together: one walk.
  Result<void> read_run(std::size_t begin, std::size_t end) {
    auto i = begin;
    Result<void> failed;
    auto visit = [&](const KeyValue& entry) {
      const auto uid = uid_of(entry.key).value_or(0);
      if (uid < batch_.messages[i].uid) return true;
      if (uid > batch_.messages[i].uid) {
        failed = lost();
        return false;
      }
      failed = fill(i, entry.value);
      ++i;
      return failed.has_value() && !full_ && i < end;
    };
    const auto last = batch_.messages[end - 1].uid;
    RELAIS_TRY_VOID(snapshot_.range(message_key(mailbox_, batch_.messages[begin].uid), message_key(mailbox_, last + 1), std::ref(visit)));
    RELAIS_TRY_VOID(std::move(failed));
    if (i < end && !full_) return lost();
    return {};
  }

  Result<void> read_each(std::size_t begin, std::size_t end) {
    for (auto i = begin; i < end && !full_; ++i) {
      RELAIS_TRY(const auto octets, snapshot_.get(message_key(mailbox_, batch_.messages[i].uid)));
      if (!octets) return lost();
      RELAIS_TRY_VOID(fill(i, *octets));
    }
    return {};
  }

  static std::unexpected<Error> lost() {
    return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "hot record without message record");
  }

  std::string_view take(std::string_view text) {
    const auto at = batch_.octets.size();
    batch_.octets += text;
    return std::string_view(batch_.octets).substr(at);
  }

  Result<void> fill(std::size_t index, std::string_view octets) {
    RELAIS_TRY(const auto record, decode_message(octets));
    auto& message = batch_.messages[index];
    const auto fields = request_.fields;
    reserve_octets(batch_, octets.size() + record.body_structure.size());
    if ((fields & kFetchMeta) != 0) {
      message.internal_date = record.internal_date;
      message.internal_zone = record.internal_zone;
      message.save_date = record.save_date;
      message.sent_date = record.sent_date;
      message.sent_zone = record.sent_zone;
      message.email_id = record.email_id;
      message.thread_id = record.thread_id;
      message.uidl = take(record.uidl);
    }
    if ((fields & kFetchEnvelope) != 0) message.envelope = take(record.envelope);
    if ((fields & kFetchBodyStructure) != 0) message.body_structure = take(record.body_structure);
    if ((fields & kFetchParts) != 0) message.parts = take(record.parts);
    if ((fields & kFetchBody) != 0) {
      const auto at = batch_.octets.size();
      RELAIS_TRY_VOID(append_body(batch_.octets, record.body_structure));  // never longer: the room is reserved
      message.body = std::string_view(batch_.octets).substr(at);
    }
    if ((fields & kFetchHeaderFields) != 0) RELAIS_TRY_VOID(fill_header_fields(message, record));
    if ((fields & kFetchContent) != 0 && message.size <= request_.content_limit) RELAIS_TRY_VOID(fill_content(index, record.blob));
    filled_ = index + 1;
    full_ = batch_.octets.size() > request_.max_octets && filled_ < batch_.messages.size();
    return {};
  }

  Result<void> fill_header_fields(MessageView& message, const MessageRecord& record) {
    message.header_fields_complete = record.header_fields_complete;
    if (!record.header_fields_apart) {
      message.header_fields = take(record.header_fields);
      return {};
    }
    RELAIS_TRY(const auto apart, snapshot_.get(header_key(mailbox_, message.uid)));
    if (!apart) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "header record is missing");
    reserve_octets(batch_, apart->size());
    message.header_fields = take(*apart);
    return {};
  }

  Result<void> fill_content(std::size_t index, BlobId blob) {
    reserve_octets(batch_, batch_.messages[index].size);
    auto& message = batch_.messages[index];
    const auto at = batch_.octets.size();
    const auto* place = batch_.octets.data();
    const auto cached = snapshot_.try_read_blob(blob, 0, message.size, batch_.octets);
    if (!cached && !is_gone(cached.error())) return std::unexpected(cached.error());
    RELAIS_CHECK(batch_.octets.data() == place);  // the room was reserved: no view moved
    message.has_content = true;
    if (cached && *cached) {
      message.content = std::string_view(batch_.octets).substr(at);
    } else {
      pending_.push_back({index, blob});
    }
    return {};
  }

  const Snapshot& snapshot_;
  const MailboxId mailbox_;
  const FetchRequest& request_;
  FetchBatch& batch_;
  std::vector<PendingContent>& pending_;
  std::size_t filled_ = 0;
  bool full_ = false;
};

}  // namespace

std::unexpected<Error> message_is_gone() { return fail(Fault::refused, "message is gone", "EXPUNGEISSUED"); }

Result<void> check_expunged(const Engine& engine, AccountId account, MailboxId mailbox, Uid uid, BlobId blob) {
  RELAIS_TRY(const auto snapshot, engine.read(account));
  RELAIS_TRY(const auto octets, snapshot->get(message_key(mailbox, uid)));
  if (!octets) return {};
  RELAIS_TRY(const auto now, decode_message_blob(*octets));
  if (now != blob) return {};
  return fail(Fault::corrupt, "stored message is missing", "SERVERBUG", "message record without blob");
}

void reserve_octets(FetchBatch& batch, std::size_t more) {
  auto& octets = batch.octets;
  if (octets.capacity() - octets.size() >= more) return;
  std::string larger;
  larger.reserve(std::max(octets.capacity() * 2, octets.size() + more));
  larger.append(octets);
  const auto* from = octets.data();
  for (auto& message : batch.messages) {
    for (const auto text : kTexts) {
      auto& view = message.*text;
      if (!view.empty()) view = {larger.data() + (view.data() - from), view.size()};
    }
  }
  octets = std::move(larger);
}

Result<void> read_batch(const Snapshot& snapshot, MailboxId mailbox, const FetchRequest& request, FetchBatch& batch,
                        std::vector<PendingContent>& pending) {
  batch.messages.clear();
  batch.octets.clear();
  batch.next = 0;
  pending.clear();
  RELAIS_TRY(const auto record, read_mailbox(snapshot, mailbox));
  if (!record) return no_such_mailbox();
  batch.highest_mod_seq = record->highest_mod_seq;
  if (request.changed_since != 0 && record->highest_mod_seq <= request.changed_since) return {};
  return BatchReader(snapshot, mailbox, request, batch, pending).run();
}

}  // namespace relais::storage::model
