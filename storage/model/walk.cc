// Walks over a mailbox's groups and chunks.
#include "storage/model/walk.h"

namespace relais::storage::model {

Result<std::vector<GroupSpan>> read_groups(const Reader& reader, MailboxId mailbox, Uid want) {
  const auto begin = group_key(mailbox, 0);
  const auto end = mailbox_end(kGroupFamily, mailbox);
  std::string from{std::string_view(begin)};
  if (want > 1) {
    RELAIS_TRY(auto at, reader.last_in(begin, want == UINT32_MAX ? end : group_key(mailbox, want + 1)));
    if (at) from = std::move(at->first);
  }
  std::vector<GroupSpan> groups;
  Result<void> damaged;
  auto visit = [&](const KeyValue& entry) {
    const auto first = uid_of(entry.key);
    auto record = decode_group(entry.value);
    if (!first || !record) {
      damaged = fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "group record does not decode");
      return false;
    }
    if (!groups.empty()) groups.back().end = *first;
    groups.push_back({*first, std::uint64_t{UINT32_MAX} + 1, *record});
    return true;
  };
  RELAIS_TRY_VOID(reader.range(from, end, std::ref(visit)));
  RELAIS_TRY_VOID(std::move(damaged));
  return groups;
}

const NumberSet& every_uid() {
  static const NumberSet all(NumberRange{1, UINT32_MAX});
  return all;
}

}  // namespace relais::storage::model
