// What a FETCH asks for, worked out once for all its messages.
#pragma once

#include "imap/proto/fetch.h"
#include "message/header.h"
#include "message/mime.h"
#include "storage/types.h"

#include <optional>
#include <string>
#include <vector>

namespace relais::imap {

/// One item with all that does not depend on the message.
struct PlannedItem {
  FetchItem item;
  std::string name;                              ///< as the response names it, with the space behind: "BODY[1.MIME]<0> "
  std::optional<message::FieldSelector> fields;  ///< of HEADER.FIELDS and HEADER.FIELDS.NOT

  /// True where the answer is octets of the message: BODY[…], BINARY[…], RFC822 and their like.
  bool is_section() const noexcept { return item.kind >= FetchItem::Kind::section; }
  /// True where the fields that storage keeps are enough (if it keeps all of them for that message).
  bool from_kept_fields() const noexcept { return fields && fields->cached() && item.part.empty(); }
  /// Where in the message the item's octets lie.
  message::SectionText text() const noexcept;
};

struct FetchPlan {
  std::vector<PlannedItem> items;
  std::uint32_t fields = storage::kFetchFlags;  ///< of storage::FetchField
  std::uint32_t content_limit = 0;              ///< FetchRequest::content_limit
  bool uid = false;
  bool flags = false;
  bool mod_seq = false;
  bool sets_seen = false;

  /// Nothing is asked that storage::FlagChange does not have.
  bool only_flags() const noexcept;
};

/// @param uid  it is a UID FETCH: the response names the UID whatever was asked (RFC 9051 §6.4.9)
FetchPlan make_plan(const FetchArgs& args, bool uid);

}  // namespace relais::imap
