// The keys of an account's records; docs/format.md has the table. All numbers are big-endian, so that keys ascend as they do.
#pragma once

#include "storage/types.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::storage::model {

/// A short key without allocation.
class Key {
 public:
  explicit constexpr Key(char family) noexcept { octets_[size_++] = family; }
  constexpr Key& u32(std::uint32_t v) noexcept { return big_endian(v, 4); }
  constexpr Key& u64(std::uint64_t v) noexcept { return big_endian(v, 8); }
  constexpr operator std::string_view() const noexcept { return {octets_.data(), size_}; }  // NOLINT: a key is its octets

 private:
  constexpr Key& big_endian(std::uint64_t v, unsigned octets) noexcept {
    for (unsigned i = octets; i-- > 0;) octets_[size_++] = static_cast<char>(v >> (8 * i));
    return *this;
  }
  std::array<char, 15> octets_{};
  std::uint8_t size_ = 0;
};

constexpr std::uint32_t number(MailboxId id) noexcept { return static_cast<std::uint32_t>(id); }

// The families, in key order.
inline constexpr char kAccountFamily = 'a';    ///< 'a' → AccountRecord
inline constexpr char kMailboxFamily = 'b';    ///< 'b' mailbox → MailboxRecord
inline constexpr char kDeadFamily = 'd';       ///< 'd' mailbox → empty: removed, its messages are being cleared away
inline constexpr char kGroupFamily = 'g';      ///< 'g' mailbox first-uid → summary of many chunks
inline constexpr char kChunkFamily = 'h';      ///< 'h' mailbox first-uid → chunk of hot records
inline constexpr char kMessageFamily = 'm';    ///< 'm' mailbox uid → MessageRecord
inline constexpr char kNameFamily = 'n';       ///< 'n' name → mailbox
inline constexpr char kOnceFamily = 'o';       ///< 'o' id → result of an append
inline constexpr char kAttributeFamily = 'p';  ///< 'p' mailbox name → attribute; mailbox 0 is the account itself
inline constexpr char kSubscribedFamily = 's'; ///< 's' name → name
inline constexpr char kTombstoneFamily = 't';  ///< 't' mailbox mod-seq → expunged UIDs
inline constexpr char kHeaderFamily = 'x';     ///< 'x' mailbox uid → header fields too large for the message record

constexpr Key account_key() noexcept { return Key(kAccountFamily); }
constexpr Key family_key(char family) noexcept { return Key(family); }
constexpr Key family_end(char family) noexcept { return Key(static_cast<char>(family + 1)); }
constexpr Key mailbox_key(MailboxId id) noexcept { return Key(kMailboxFamily).u32(number(id)); }
constexpr Key dead_key(MailboxId id) noexcept { return Key(kDeadFamily).u32(number(id)); }
constexpr Key group_key(MailboxId id, Uid first) noexcept { return Key(kGroupFamily).u32(number(id)).u32(first); }
constexpr Key chunk_key(MailboxId id, Uid first) noexcept { return Key(kChunkFamily).u32(number(id)).u32(first); }
constexpr Key message_key(MailboxId id, Uid uid) noexcept { return Key(kMessageFamily).u32(number(id)).u32(uid); }
constexpr Key header_key(MailboxId id, Uid uid) noexcept { return Key(kHeaderFamily).u32(number(id)).u32(uid); }
constexpr Key tombstone_key(MailboxId id, ModSeq mod_seq) noexcept { return Key(kTombstoneFamily).u32(number(id)).u64(mod_seq); }
/// The first key of `family` behind everything of the mailbox. Mailbox numbers stay below 2^32 - 1.
constexpr Key mailbox_end(char family, MailboxId id) noexcept { return Key(family).u32(number(id) + 1); }

/// Names longer than this many octets appear in keys as their first octets, 0xFF and the SHA-256 of the whole name: keys are bounded.
inline constexpr std::size_t kMaxNameInKey = 200;
std::string name_key(std::string_view name);
std::string subscribed_key(std::string_view name);
std::string once_key(std::string_view id);
/// @param name  at most 255 octets; empty for the first key of the mailbox
std::string attribute_key(MailboxId id, std::string_view name);
/// The name in the key of an attribute.
constexpr std::string_view attribute_name(std::string_view key) noexcept { return key.size() < 5 ? std::string_view() : key.substr(5); }

/// The UID of a group, chunk, message or header key; nullopt where the key is none.
constexpr std::optional<Uid> uid_of(std::string_view key) noexcept {
  if (key.size() != 9) return std::nullopt;
  std::uint32_t v = 0;
  for (std::size_t i = 5; i < 9; ++i) v = v << 8 | static_cast<unsigned char>(key[i]);
  return v;
}
/// The mailbox that a key of one of the numbered families belongs to.
constexpr std::optional<MailboxId> mailbox_of(std::string_view key) noexcept {
  if (key.size() < 5) return std::nullopt;
  std::uint32_t v = 0;
  for (std::size_t i = 1; i < 5; ++i) v = v << 8 | static_cast<unsigned char>(key[i]);
  return MailboxId{v};
}

}  // namespace relais::storage::model
