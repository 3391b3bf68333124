// APPEND and delivery.
#pragma once

#include "storage/blob.h"
#include "storage/model/work.h"
#include "storage/store.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
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

/// @return Fault::refused where size, keyword or UIDL are not what store.h allows
Result<PlannedMessage> plan_message(const AppendMessage& message, std::int64_t now);
/// RFC 9051 §9 flag-keyword: an atom. Fault::refused CANNOT.
Result<void> check_keywords(const std::vector<std::string>& keywords);

/// The body of Store::append. @param blobs one per message
Result<AppendResult> append_messages(Work& work, const std::string& mailbox, const std::vector<PlannedMessage>& messages, bool create_missing,
                                     const std::string& once, std::span<const BlobId> blobs);

}  // namespace relais::storage::model
