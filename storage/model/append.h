// APPEND and delivery.
#pragma once

#include "storage/blob.h"
#include "storage/model/work.h"
#include "storage/store.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage::model {

inline constexpr std::uint64_t kMaxMessage = UINT32_MAX;  ///< octets
inline constexpr std::size_t kMaxKeyword = 255;           ///< octets
inline constexpr std::size_t kMaxOnceId = 255;            ///< octets

/// One message with all that can be done before the transaction done.
struct PlannedMessage {
  std::shared_ptr<const EncodedBlob> blob;
  std::uint32_t size = 0;
  FlagBits system_flags = 0;
  std::vector<std::string> keywords;
  std::optional<Uid> uid;
  std::optional<ModSeq> mod_seq;
  std::string record;               ///< encoded MessageRecord, blob to be filled in
  std::string header_fields_apart;  ///< empty where they are in the record
};

/// When a message came, in seconds since epoch.
struct MessageDates {
  std::int64_t internal_date = 0;
  std::int64_t save_date = 0;
};

/// @return Fault::refused where size, keyword or UIDL are not what store.h allows
Result<PlannedMessage> plan_message(const AppendMessage& message, std::int64_t now);
/// The same with both dates dictated; that of `message` is not looked at.
Result<PlannedMessage> plan_message(const AppendMessage& message, MessageDates dates);
/// RFC 1939 §7: 1 to 70 characters of 0x21 to 0x7E; or empty. Fault::refused CANNOT.
Result<void> check_uidl(std::string_view uidl);
/// RFC 9051 §9 flag-keyword: an atom. Fault::refused CANNOT.
Result<void> check_keywords(const std::vector<std::string>& keywords);

/// The body of Store::append. @param blobs one per message
Result<AppendResult> append_messages(Work& work, const std::string& mailbox, const std::vector<PlannedMessage>& messages, bool create_missing,
                                     const std::string& once, std::span<const BlobId> blobs);

}  // namespace relais::storage::model
