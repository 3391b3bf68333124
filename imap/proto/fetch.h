// FETCH: items, sections and modifiers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// What a section names within its part (RFC 9051 §6.4.5.1).
enum class SectionText : std::uint8_t { none, header, header_fields, header_fields_not, text, mime };

/// `<offset.length>`, octets.
struct FetchPartial {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  ///< not 0
  friend bool operator==(const FetchPartial&, const FetchPartial&) = default;
};

struct FetchItem {
  enum class Kind : std::uint8_t {
    envelope,
    flags,
    internal_date,
    size,  ///< RFC822.SIZE
    body,  ///< BODY: the structure without extension data
    body_structure,
    uid,
    mod_seq,   ///< RFC 7162 §3.1.4
    email_id,  ///< RFC 8474
    thread_id,
    save_date,      ///< RFC 8514
    section,        ///< BODY[…] and BODY.PEEK[…]
    binary,         ///< BINARY[…] and BINARY.PEEK[…] (RFC 3516)
    binary_size,    ///< BINARY.SIZE[…]
    rfc822,         ///< BODY[] under another name (RFC 3501)
    rfc822_header,  ///< BODY.PEEK[HEADER] under another name
    rfc822_text,    ///< BODY[TEXT] under another name
  };
  Kind kind = Kind::flags;
  bool peek = false;  ///< leave \Seen alone
  SectionText text = SectionText::none;
  std::vector<std::uint32_t> part;  ///< 1.2.3; empty for the message itself
  std::vector<std::string> names;   ///< of HEADER.FIELDS, as written
  std::optional<FetchPartial> partial;

  /// Fetching it sets \Seen (RFC 9051 §6.4.5).
  bool sets_seen() const noexcept {
    return ((kind == Kind::section || kind == Kind::binary) && !peek) || kind == Kind::rfc822 || kind == Kind::rfc822_text;
  }
};

struct FetchArgs {
  SequenceSet messages;
  std::vector<FetchItem> items;                ///< macros expanded, plain items each once; at least one
  std::optional<std::uint64_t> changed_since;  ///< RFC 7162 §3.1.4.1
  bool vanished = false;                       ///< RFC 7162 §3.2.6; BAD unless QRESYNC was enabled: the session's check
  std::optional<PartialRange> partial;         ///< RFC 9394 §3.4

  bool has(FetchItem::Kind kind) const noexcept;
};

inline constexpr std::size_t kMaxFetchItems = 256;   ///< our own limit
inline constexpr std::size_t kMaxSectionDepth = 64;  ///< numbers in a section; our own limit, above the MIME parser's
inline constexpr std::size_t kMaxHeaderNames = 512;  ///< names in HEADER.FIELDS; our own limit

/// Parses what follows "FETCH".
///
/// @param uid  it was UID FETCH: VANISHED and PARTIAL are allowed with it alone. UID is not added to the items.
/// @return Fault::syntax; Fault::refused [LIMIT] beyond the limits.
/// Source: RFC 9051 §6.4.5, RFC 3501 §6.4.5, RFC 3516, RFC 7162, RFC 8474, RFC 8514, RFC 9394.
Result<FetchArgs> parse_fetch(std::string_view rest, bool uid, Dialect dialect = {});

/// Appends the item as a FETCH response names it: `BODY[1.HEADER.FIELDS (FROM)]<0>`, `BINARY.SIZE[2]`, `RFC822.SIZE` (RFC 9051 §7.5.2).
void append_item_name(std::string& out, const FetchItem& item);

}  // namespace relais::imap
