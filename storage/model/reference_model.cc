// The mailbox model in its simplest form.
#include "storage/model/reference_model.h"

#include <algorithm>

namespace relais::storage::testing {
namespace {

bool below(const std::string& name, const std::string& ancestor) { return name.starts_with(ancestor + "/"); }

std::string parent(const std::string& name) {
  const auto slash = name.rfind('/');
  return slash == std::string::npos ? std::string{} : name.substr(0, slash);
}

}  // namespace

ReferenceModel::ReferenceModel() {
  const std::pair<const char*, std::uint8_t> usual[] = {{"INBOX", kUseNone}, {"Archive", kUseArchive}, {"Drafts", kUseDrafts},
                                                        {"Junk", kUseJunk},  {"Sent", kUseSent},       {"Trash", kUseTrash}};
  for (const auto& [name, use] : usual) {
    mailboxes[name].special_use = use;
    subscribed.insert(name);
  }
}

std::uint64_t ReferenceModel::octets() const {
  std::uint64_t sum = 0;
  for (const auto& [name, mailbox] : mailboxes) {
    for (const auto& [uid, message] : mailbox.messages) sum += message.content.size();
  }
  return sum;
}

std::uint64_t ReferenceModel::messages() const {
  std::uint64_t sum = 0;
  for (const auto& [name, mailbox] : mailboxes) sum += mailbox.messages.size();
  return sum;
}

bool ReferenceModel::fits(std::uint64_t more_octets, std::uint64_t more_messages) const {
  return (octets_limit == 0 || octets() + more_octets <= octets_limit) && (messages_limit == 0 || messages() + more_messages <= messages_limit);
}

bool ReferenceModel::has_children(const std::string& name) const {
  return std::ranges::any_of(mailboxes, [&](const auto& entry) { return below(entry.first, name); });
}

void ReferenceModel::make_parents(const std::string& name) {
  for (auto up = parent(name); !up.empty(); up = parent(up)) mailboxes.try_emplace(up);
}

std::string ReferenceModel::append(const std::string& mailbox, const std::vector<NewMessage>& messages, bool create_missing,
                                   const std::string& once_id, std::vector<Uid>& uids) {
  if (!once_id.empty() && once.contains(once_id)) {
    uids = once.at(once_id).second;
    return {};
  }
  const auto it = mailboxes.find(mailbox);
  const bool there = it != mailboxes.end() && it->second.selectable;
  if (!there && !create_missing) return "TRYCREATE";
  std::uint64_t more = 0;
  for (const auto& message : messages) more += message.message.content.size();
  if (!fits(more, messages.size())) return "OVERQUOTA";
  Uid next = there ? it->second.uid_next : 1;
  for (const auto& message : messages) {
    if (message.uid && *message.uid < next) return "CANNOT";
    next = message.uid.value_or(next) + 1;
  }
  if (!there) {
    make_parents(mailbox);
    mailboxes[mailbox] = {};
  }
  auto& box = mailboxes[mailbox];
  for (const auto& message : messages) {
    const auto uid = message.uid.value_or(box.uid_next);
    box.messages[uid] = message.message;
    box.uid_next = uid + 1;
    uids.push_back(uid);
  }
  if (!once_id.empty()) once[once_id] = {mailbox, uids};
  return {};
}

void ReferenceModel::store_flags(const std::string& mailbox, const NumberSet& uids, const NumberSet& refused, FlagOperation operation,
                                 FlagBits system_flags, const std::set<std::string>& keywords) {
  for (auto& [uid, message] : mailboxes.at(mailbox).messages) {
    if (!uids.contains(uid) || refused.contains(uid)) continue;
    if (operation == FlagOperation::replace) {
      message.system_flags = system_flags;
      message.keywords = keywords;
    } else if (operation == FlagOperation::add) {
      message.system_flags |= system_flags;
      message.keywords.insert(keywords.begin(), keywords.end());
    } else {
      message.system_flags &= ~system_flags;
      for (const auto& keyword : keywords) message.keywords.erase(keyword);
    }
  }
}

void ReferenceModel::expunge(const std::string& mailbox, const std::optional<NumberSet>& uids, bool any_flag, NumberSet& expunged) {
  std::erase_if(mailboxes.at(mailbox).messages, [&](const auto& entry) {
    const bool goes = (!uids || uids->contains(entry.first)) && (any_flag || (entry.second.system_flags & kDeleted) != 0);
    if (goes) expunged.add(entry.first);
    return goes;
  });
}

std::string ReferenceModel::copy(const std::string& from, const NumberSet& uids, const std::string& to, bool move,
                                 std::vector<std::pair<Uid, Uid>>& pairs) {
  const auto it = mailboxes.find(to);
  if (it == mailboxes.end() || !it->second.selectable) return "TRYCREATE";
  auto& source = mailboxes.at(from);
  std::vector<std::pair<Uid, RefMessage>> taken;
  std::uint64_t more = 0;
  for (const auto& [uid, message] : source.messages) {
    if (!uids.contains(uid)) continue;
    taken.emplace_back(uid, message);
    more += message.content.size();
  }
  if (!move && !taken.empty() && !fits(more, taken.size())) return "OVERQUOTA";
  for (auto& [uid, message] : taken) {
    if (move) source.messages.erase(uid);
    if (!move) message.uidl.clear();
    const auto copied = it->second.uid_next++;
    it->second.messages[copied] = message;
    pairs.emplace_back(uid, copied);
  }
  return {};
}

std::string ReferenceModel::create(const std::string& name, std::uint8_t special_use) {
  const auto it = mailboxes.find(name);
  if (it != mailboxes.end() && it->second.selectable) return "ALREADYEXISTS";
  for (const auto& [other, mailbox] : mailboxes) {
    if (other != name && (mailbox.special_use & special_use) != 0 && mailbox.uid_next > 1) return "USEATTR";
  }
  for (auto& [other, mailbox] : mailboxes) mailbox.special_use &= static_cast<std::uint8_t>(~special_use);
  make_parents(name);
  mailboxes[name] = {};
  mailboxes[name].special_use = special_use;
  return {};
}

std::string ReferenceModel::rename(const std::string& from, const std::string& to) {
  if (!mailboxes.contains(from)) return "NONEXISTENT";
  if (mailboxes.contains(to)) return "ALREADYEXISTS";
  if (from == "INBOX") {
    make_parents(to);
    mailboxes[to] = {};
    std::vector<std::pair<Uid, Uid>> pairs;
    return copy(from, NumberSet(NumberRange{1, UINT32_MAX}), to, true, pairs);
  }
  if (below(to, from)) return "CANNOT";
  make_parents(to);
  std::map<std::string, RefMailbox> renamed;
  for (auto& [name, mailbox] : mailboxes) {
    const bool moves = name == from || below(name, from);
    renamed[moves ? to + name.substr(from.size()) : name] = std::move(mailbox);
  }
  mailboxes = std::move(renamed);
  return {};
}

std::string ReferenceModel::remove(const std::string& name) {
  if (name == "INBOX") return "CANNOT";
  const auto it = mailboxes.find(name);
  if (it == mailboxes.end()) return "NONEXISTENT";
  if (has_children(name)) {
    if (!it->second.selectable) return "HASCHILDREN";
    it->second = {};
    it->second.selectable = false;
  } else {
    mailboxes.erase(it);
  }
  return {};
}

}  // namespace relais::storage::testing
