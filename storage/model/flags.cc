// STORE.
#include "storage/model/flags.h"

namespace relais::storage::model {

Result<StoreFlagsResult> store_flags(Work& work, MailboxId mailbox, const StoreFlagsRequest& request) {
  RELAIS_TRY(auto* box, work.get(mailbox));
  const bool adds = request.operation != FlagOperation::remove;
  RELAIS_TRY(const auto keywords, work.keyword_bits(*box, request.keywords, adds));
  const auto bits = (request.system_flags & kSystemFlags) | keywords;

  StoreFlagsResult result;
  const auto edit = [&](HotRecord& record) {
    if (request.unchanged_since && record.mod_seq > *request.unchanged_since) {
      result.failed.add(record.uid);
      return Work::Edit::keep;
    }
    auto flags = record.flags;
    switch (request.operation) {
      case FlagOperation::replace: flags = bits; break;
      case FlagOperation::add: flags |= bits; break;
      case FlagOperation::remove: flags &= ~bits; break;
    }
    const bool changed = flags != record.flags;
    if (changed) {
      record.flags = flags;
      record.mod_seq = result.made = work.touch(*box);
    }
    result.changed.push_back({record.uid, record.flags, record.mod_seq});
    return changed ? Work::Edit::changed : Work::Edit::keep;
  };
  RELAIS_TRY_VOID(work.edit_chunks(*box, request.uids, UINT64_MAX, false, edit));
  result.highest_mod_seq = box->record.highest_mod_seq;
  result.keywords = box->record.keywords;
  return result;
}

}  // namespace relais::storage::model
