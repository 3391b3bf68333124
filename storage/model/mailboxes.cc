// Mailboxes as names.
#include "storage/model/mailboxes.h"

#include "storage/model/copy.h"
#include "storage/model/names.h"
#include "storage/model/walk.h"

#include <algorithm>
#include <functional>

namespace relais::storage::model {
namespace {

std::unexpected<Error> already_exists() { return fail(Fault::refused, "mailbox exists already", "ALREADYEXISTS"); }

void add_claims(MailboxInfo& info, const Context& context) {
  if (context.recent != nullptr) info.recent_from = context.recent->recent_from(context.account, info.id, info.recent_from);
}

// Messages of INBOX go to the new mailbox, INBOX itself stays (RFC 9051 §6.3.6).
Result<std::optional<MailboxId>> rename_inbox(Work& work, const std::string& to, std::uint64_t limit) {
  RELAIS_TRY(auto* inbox, work.find(kInbox));
  if (inbox == nullptr) return no_such_mailbox();
  RELAIS_TRY(auto* target, work.create(to, kUseNone, std::nullopt));
  RELAIS_TRY([[maybe_unused]] const auto moved, copy_messages(work, *inbox, every_uid(), *target, true, limit));
  return inbox->record.messages != 0 ? std::optional(inbox->id) : std::nullopt;
}

}  // namespace

bool has_children(const std::vector<std::pair<MailboxId, MailboxRecord>>& all, std::string_view name) {
  return std::ranges::any_of(all, [&](const auto& entry) { return is_below(entry.second.name, name); });
}

// A special use belongs to one mailbox (RFC 6154 §3 lets us refuse). One that was never used gives it up: the platform's default folder
// must not keep a migrated one from being the account's.
Result<void> claim_special_use(Work& work, std::uint8_t special_use, std::string_view for_name) {
  if (special_use == kUseNone) return {};
  RELAIS_TRY(const auto all, work.all());
  for (const auto& [id, record] : all) {
    if ((record.special_use & special_use) == 0 || record.name == for_name) continue;
    if (record.uid_next > 1) return fail(Fault::refused, "another mailbox has this special use", "USEATTR");
    RELAIS_TRY(auto* box, work.get(id));
    box->record.special_use &= static_cast<std::uint8_t>(~special_use);
    box->dirty = true;
  }
  return {};
}

Result<std::vector<MailboxInfo>> list_mailboxes(const Reader& reader, const Context& context) {
  RELAIS_TRY(auto all, read_mailboxes(reader));
  std::vector<MailboxInfo> list;
  list.reserve(all.size());
  for (auto& [id, record] : all) {
    list.push_back(to_info(id, std::move(record)));
    add_claims(list.back(), context);
  }
  std::ranges::sort(list, name_less, &MailboxInfo::name);
  const auto known = list.size();
  auto visit = [&](const KeyValue& entry) {
    const auto it = std::ranges::lower_bound(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(known), entry.value, name_less,
                                             [](const MailboxInfo& info) { return std::string_view(info.name); });
    if (it != list.begin() + static_cast<std::ptrdiff_t>(known) && it->name == entry.value) {
      it->subscribed = true;
    } else {
      auto& info = list.emplace_back();
      info.name = entry.value;
      info.subscribed = true;
      info.selectable = false;
      info.exists = false;
    }
    return true;
  };
  RELAIS_TRY_VOID(reader.range(family_key(kSubscribedFamily), family_end(kSubscribedFamily), std::ref(visit)));
  if (list.size() > known) std::ranges::sort(list, name_less, &MailboxInfo::name);
  return list;
}

Result<MailboxInfo> mailbox_status(const Reader& reader, const Context& context, const std::string& name) {
  RELAIS_TRY(const auto id, read_name(reader, name));
  if (!id) return no_such_mailbox();
  RELAIS_TRY(auto record, read_mailbox(reader, *id));
  if (!record || !record->selectable) return no_such_mailbox();
  auto info = to_info(*id, std::move(*record));
  RELAIS_TRY(const auto subscribed, reader.get(subscribed_key(name)));
  info.subscribed = subscribed.has_value();
  add_claims(info, context);
  return info;
}

Result<MailboxInfo> create_mailbox(Work& work, const std::string& name, std::uint8_t special_use,
                                   std::optional<std::uint32_t> uid_validity) {
  if (uid_validity && *uid_validity == 0) return fail(Fault::refused, "UIDVALIDITY is not zero", "CANNOT");
  RELAIS_TRY(auto* box, work.find(name));
  const bool takes_over = box != nullptr && box->record.selectable && uid_validity && box->record.uid_next == 1;
  if (box != nullptr && box->record.selectable && !takes_over) return already_exists();
  if (name == kInbox && special_use != kUseNone) return fail(Fault::refused, "INBOX has no special use", "USEATTR");
  RELAIS_TRY_VOID(claim_special_use(work, special_use, name));
  if (takes_over) {
    box->record.uid_validity = *uid_validity;
    box->record.special_use |= special_use;
    box->dirty = true;
    work.note_uid_validity(*uid_validity);
  } else {
    RELAIS_TRY(auto* made, work.create_selectable(box, name, special_use, uid_validity));
    box = made;
  }
  auto info = to_info(box->id, box->record);
  RELAIS_TRY(const auto subscribed, work.txn().get(subscribed_key(name)));
  info.subscribed = subscribed.has_value();
  return info;
}

Result<std::optional<MailboxId>> rename_mailbox(Work& work, const std::string& from, const std::string& to, std::uint64_t limit) {
  RELAIS_TRY(auto* box, work.find(from));
  if (box == nullptr) return no_such_mailbox();
  RELAIS_TRY(const auto target, read_name(work.txn(), to));
  if (target) return already_exists();
  if (from == kInbox) return rename_inbox(work, to, limit);
  if (is_below(to, from)) return fail(Fault::refused, "a mailbox cannot move below itself", "CANNOT");

  RELAIS_TRY(const auto all, work.all());
  if (const auto parent = parent_of(to); !parent.empty()) {
    RELAIS_TRY(const auto there, read_name(work.txn(), parent));
    if (!there) {
      RELAIS_TRY([[maybe_unused]] auto* made, work.create(parent, kUseNone, std::nullopt));
    }
  }
  RELAIS_TRY_VOID(work.rename(*box, to));
  for (const auto& [id, record] : all) {
    if (!is_below(record.name, from)) continue;
    RELAIS_TRY(const auto name, normalize_name(to + record.name.substr(from.size())));  // it may have become too long
    RELAIS_TRY(auto* child, work.get(id));
    RELAIS_TRY_VOID(work.rename(*child, name));
  }
  return std::nullopt;
}

Result<void> remove_mailbox(Work& work, const std::string& name) {
  if (name == kInbox) return fail(Fault::refused, "INBOX cannot be deleted", "CANNOT");
  RELAIS_TRY(auto* box, work.find(name));
  if (box == nullptr) return no_such_mailbox();
  RELAIS_TRY(const auto all, work.all());
  const bool parent = has_children(all, name);
  // RFC 9051 §6.3.5: an error for a \Noselect name that has inferior ones.
  if (parent && !box->record.selectable) return fail(Fault::refused, "mailbox has children", "HASCHILDREN");
  RELAIS_TRY_VOID(work.bury(*box));
  if (!parent) return {};
  RELAIS_TRY(auto* rest, work.create(name, kUseNone, std::nullopt));
  rest->record.selectable = false;
  return {};
}

Result<void> set_subscribed(Work& work, const std::string& name, bool subscribed) {
  if (!subscribed) return work.txn().erase(subscribed_key(name));
  RELAIS_TRY(const auto exists, read_name(work.txn(), name));
  if (!exists) {
    std::size_t count = 0;
    auto visit = [&](const KeyValue&) { return ++count < kMaxSubscriptions; };
    RELAIS_TRY_VOID(work.txn().range(family_key(kSubscribedFamily), family_end(kSubscribedFamily), std::ref(visit)));
    if (count >= kMaxSubscriptions) return fail(Fault::refused, "too many subscriptions", "LIMIT");
  }
  return work.txn().put(subscribed_key(name), name);
}

Result<void> bury_all(Work& work) {
  RELAIS_TRY(const auto all, work.all());
  for (const auto& [id, record] : all) {
    RELAIS_TRY(auto* box, work.get(id));
    RELAIS_TRY_VOID(work.bury(*box));
  }
  return {};
}

}  // namespace relais::storage::model
