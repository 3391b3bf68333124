// Attributes of accounts and mailboxes.
#include "storage/model/attributes.h"

#include "storage/model/keys.h"
#include "storage/model/records.h"

#include <functional>
#include <utility>

namespace relais::storage::model {
namespace {

// No mailbox has the number 0.
constexpr MailboxId kAccountItself{0};

Result<void> check_mailbox(const Reader& reader, std::optional<MailboxId> mailbox) {
  if (!mailbox) return {};
  if (*mailbox == kAccountItself) return no_such_mailbox();
  RELAIS_TRY(const auto there, reader.get(mailbox_key(*mailbox)));
  if (!there) return no_such_mailbox();
  return {};
}

Result<void> walk(const Reader& reader, MailboxId place, const Visitor& visit) {
  return reader.range(attribute_key(place, {}), mailbox_end(kAttributeFamily, place), visit);
}

}  // namespace

Result<std::vector<Attribute>> read_attributes(const Reader& reader, std::optional<MailboxId> mailbox) {
  RELAIS_TRY_VOID(check_mailbox(reader, mailbox));
  std::vector<Attribute> all;
  Result<void> damaged;
  auto visit = [&](const KeyValue& entry) {
    const auto name = attribute_name(entry.key);
    auto value = decode_attribute(entry.value);
    if (!value) {
      damaged = std::unexpected(std::move(value).error());
      return false;
    }
    all.push_back({std::string(name), std::string(*value)});
    return true;
  };
  RELAIS_TRY_VOID(walk(reader, mailbox.value_or(kAccountItself), std::ref(visit)));
  RELAIS_TRY_VOID(std::move(damaged));
  return all;
}

Result<void> write_attributes(Work& work, std::optional<MailboxId> mailbox, std::span<const Attribute> attributes) {
  RELAIS_TRY_VOID(check_mailbox(work.txn(), mailbox));
  const auto place = mailbox.value_or(kAccountItself);
  for (const auto& attribute : attributes) {
    const auto key = attribute_key(place, attribute.name);
    RELAIS_TRY_VOID(attribute.value.empty() ? work.txn().erase(key) : work.txn().put(key, encode_attribute(attribute.value)));
  }
  std::size_t count = 0;
  auto visit = [&count](const KeyValue&) { return ++count <= kMaxAttributes; };
  RELAIS_TRY_VOID(walk(work.txn(), place, std::ref(visit)));
  if (count > kMaxAttributes) return fail(Fault::refused, "too many attributes", "LIMIT");
  return {};
}

Result<void> check_attributes(std::span<const Attribute> attributes) {
  for (const auto& attribute : attributes) {
    if (attribute.name.empty() || attribute.name.size() > kMaxAttributeName)
      return fail(Fault::refused, "not a name of an attribute", "CANNOT");
    if (attribute.value.size() > kMaxAttributeValue) return fail(Fault::refused, "attribute is too large", "LIMIT");
  }
  return {};
}

}  // namespace relais::storage::model
