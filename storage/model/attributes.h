// Attributes: small values of an account or a mailbox that no protocol serves.
#pragma once

#include "storage/import.h"
#include "storage/model/work.h"

#include <optional>
#include <span>
#include <vector>

namespace relais::storage::model {

inline constexpr std::size_t kMaxAttributeName = 255;           ///< octets
inline constexpr std::size_t kMaxAttributeValue = 1024 * 1024;  ///< octets
inline constexpr std::size_t kMaxAttributes = 1'000;            ///< of one mailbox, or of the account itself

/// Ascending by name. @param mailbox  nullopt: the account's. Fault::refused NONEXISTENT where it is missing.
Result<std::vector<Attribute>> read_attributes(const Reader& reader, std::optional<MailboxId> mailbox);
/// @param attributes  as Import::set_attributes, checked
Result<void> write_attributes(Work& work, std::optional<MailboxId> mailbox, std::span<const Attribute> attributes);
/// Fault::refused CANNOT for a name that is none, LIMIT for a value that is too large.
Result<void> check_attributes(std::span<const Attribute> attributes);

}  // namespace relais::storage::model
