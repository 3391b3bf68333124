// The account's state, and mailboxes that are dictated.
#include "storage/model/import_mailboxes.h"

#include "storage/model/mailboxes.h"
#include "storage/model/names.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace relais::storage::model {
namespace {

std::unexpected<Error> cannot(std::string_view why) { return fail(Fault::refused, why, "CANNOT"); }

// What has children stays as a name (every parent of a mailbox has a record).
Result<void> leave_name(Work& work, const std::string& name) {
  RELAIS_TRY(const auto there, read_name(work.txn(), name));
  if (there) return {};
  RELAIS_TRY([[maybe_unused]] auto* rest, work.create(NewMailbox{.name = name, .selectable = false}));
  return {};
}

Result<void> check_dictated(const ImportedMailbox& mailbox) {
  if (mailbox.selectable && mailbox.uid_validity == 0) return cannot("UIDVALIDITY is not zero");
  if (mailbox.id && (number(*mailbox.id) == 0 || number(*mailbox.id) == UINT32_MAX)) return cannot("not a mailbox number");
  if (mailbox.name != kInbox) return {};
  if (!mailbox.selectable) return cannot("INBOX can be selected");
  if (mailbox.special_use != kUseNone) return fail(Fault::refused, "INBOX has no special use", "USEATTR");
  return {};
}

bool is_as_dictated(const Box& box, const ImportedMailbox& mailbox) {
  const auto& record = box.record;
  const bool id = !mailbox.id || *mailbox.id == box.id;
  return id && record.selectable == mailbox.selectable && (!record.selectable || record.uid_validity == mailbox.uid_validity);
}

}  // namespace

Result<void> change_state(Work& work, AccountState expected, AccountState state) {
  const auto now = work.account().state;
  if (now == state) return {};
  if (now != expected) return fail(Fault::refused, "the account is in another state", "STATE");
  if (!work.exists() && state == AccountState::sealed) RELAIS_TRY_VOID(work.make_default_mailboxes());  // it is read from now on
  if (state == AccountState::open) {
    RELAIS_TRY(auto* inbox, work.find(kInbox));  // RFC 9051 §5.1: it is there always
    if (inbox == nullptr || !inbox->record.selectable) {
      RELAIS_TRY(inbox, work.create_selectable(inbox, std::string(kInbox)));
    }
  }
  work.set_state(state);
  return {};
}

Result<std::optional<MailboxInfo>> import_mailbox(Work& work, const ImportedMailbox& mailbox) {
  RELAIS_TRY_VOID(check_dictated(mailbox));
  RELAIS_TRY(auto* box, work.find(mailbox.name));
  if (box == nullptr || !is_as_dictated(*box, mailbox)) {
    if (mailbox.id) {
      RELAIS_TRY(const auto* other, work.find(*mailbox.id));
      if (other != nullptr && other != box) return fail(Fault::refused, "another mailbox has this number", "ALREADYEXISTS");
    }
    RELAIS_TRY_VOID(claim_special_use(work, mailbox.special_use, mailbox.name));
    if (box != nullptr) RELAIS_TRY_VOID(work.bury(*box));
    if (mailbox.id) {
      RELAIS_TRY(const auto dead, work.txn().get(dead_key(*mailbox.id)));
      if (dead) {
        RELAIS_TRY(const auto all, work.all());
        if (has_children(all, mailbox.name)) RELAIS_TRY_VOID(leave_name(work, mailbox.name));
        return std::nullopt;
      }
      work.reserve_id(*mailbox.id);  // parents that are made on the way must not take it
    }
    RELAIS_TRY_VOID(work.make_parents(mailbox.name, false));
    RELAIS_TRY(box, work.create(NewMailbox{.name = mailbox.name,
                                           .special_use = mailbox.special_use,
                                           .uid_validity = mailbox.uid_validity == 0 ? std::nullopt : std::optional(mailbox.uid_validity),
                                           .selectable = mailbox.selectable,
                                           .id = mailbox.id}));
  } else if (box->record.special_use != mailbox.special_use) {
    RELAIS_TRY_VOID(claim_special_use(work, mailbox.special_use, mailbox.name));
    box->record.special_use = mailbox.special_use;
    box->dirty = true;
  }
  auto info = to_info(box->id, box->record);
  RELAIS_TRY(const auto subscribed, work.txn().get(subscribed_key(mailbox.name)));
  info.subscribed = subscribed.has_value();
  return info;
}

Result<void> rename_imported(Work& work, MailboxId id, const std::string& to) {
  RELAIS_TRY(auto* box, work.get(id));
  const auto from = box->record.name;
  if (from == to) return {};
  if (to == kInbox && (!box->record.selectable || box->record.special_use != kUseNone)) return cannot("this cannot be INBOX");
  RELAIS_TRY(auto* there, work.find(to));
  if (there != nullptr) {
    if (there->record.selectable) return fail(Fault::refused, "mailbox exists already", "ALREADYEXISTS");
    RELAIS_TRY_VOID(work.bury(*there));
  }
  RELAIS_TRY(const auto all, work.all());
  const bool parent = has_children(all, from);
  RELAIS_TRY_VOID(work.rename(*box, to));
  RELAIS_TRY_VOID(work.make_parents(to, false));
  if (parent) RELAIS_TRY_VOID(leave_name(work, from));
  return {};
}

Result<void> remove_imported(Work& work, MailboxId id) {
  RELAIS_TRY(auto* box, work.find(id));
  if (box == nullptr) return {};
  const auto name = box->record.name;
  RELAIS_TRY(const auto all, work.all());
  const bool parent = has_children(all, name);
  if (parent && !box->record.selectable) return {};
  RELAIS_TRY_VOID(work.bury(*box));
  if (parent) RELAIS_TRY_VOID(leave_name(work, name));
  return {};
}

Result<void> replace_subscriptions(Work& work, const std::vector<std::string>& names) {
  if (names.size() > kMaxSubscriptions) return fail(Fault::refused, "too many subscriptions", "LIMIT");
  auto& txn = work.txn();
  std::vector<std::string> there;
  auto visit = [&](const KeyValue& entry) {
    there.emplace_back(entry.value);
    return true;
  };
  RELAIS_TRY_VOID(txn.range(family_key(kSubscribedFamily), family_end(kSubscribedFamily), std::ref(visit)));
  std::ranges::sort(there);
  auto wanted = names;
  std::ranges::sort(wanted);
  for (const auto& name : there) {
    if (!std::ranges::binary_search(wanted, name)) RELAIS_TRY_VOID(txn.erase(subscribed_key(name)));
  }
  for (const auto& name : wanted) {
    if (!std::ranges::binary_search(there, name)) RELAIS_TRY_VOID(txn.put(subscribed_key(name), name));
  }
  return {};
}

}  // namespace relais::storage::model
