// EXPUNGE.
#include "storage/model/expunge.h"

namespace relais::storage::model {

Result<ExpungeResult> expunge_messages(Work& work, MailboxId mailbox, const NumberSet& uids, bool any_flag, std::uint64_t limit) {
  RELAIS_TRY(auto* box, work.get(mailbox));
  ExpungeResult result;
  if (any_flag || box->record.deleted > 0) {
    RELAIS_TRY_VOID(work.edit_chunks(*box, uids, limit, !any_flag, [&](HotRecord& record) {
      if (!any_flag && (record.flags & kDeleted) == 0) return Work::Edit::keep;
      result.expunged.add(record.uid);
      return Work::Edit::remove;
    }));
  }
  RELAIS_TRY_VOID(work.erase_messages(*box, result.expunged, true));
  RELAIS_TRY_VOID(work.add_tombstone(*box, result.expunged));
  result.highest_mod_seq = box->record.highest_mod_seq;
  return result;
}

}  // namespace relais::storage::model
