// Names, attributes and states of mailboxes; see imap_listing.h.
#include "migrate/imap_listing.h"

#include "base/ascii.h"
#include "imap/proto/values.h"
#include "storage/model/names.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace relais::migrate {
namespace {

std::string_view without_separator(std::string_view name, char separator) {
  while (separator != '\0' && name.size() > 1 && name.ends_with(separator)) name.remove_suffix(1);
  return name;
}

bool lies_in(std::string_view wire, const std::vector<imap::Namespaces::Entry>& spaces) {
  return std::ranges::any_of(spaces, [wire](const imap::Namespaces::Entry& space) {
    if (space.prefix.empty()) return false;
    const auto root = space.separator ? without_separator(space.prefix, *space.separator) : std::string_view(space.prefix);
    return wire.starts_with(space.prefix) || wire == root;
  });
}

/// A listed name in our words: as the storage itself will write it, so that both sides can be compared by name.
struct Named {
  std::string wire;
  Result<std::string> name;
  bool changed = false;
  bool recomposed = false;
};
Named name_of(const directory::NameView& view, const imap::WireName& listed) {
  const auto wire = without_separator(listed.wire, view.separator);
  const auto shown = listed.utf8 ? without_separator(*listed.utf8, view.separator) : wire;
  Named named{std::string(wire), view.to_storage(shown), !listed.utf8};
  if (!named.name) return named;
  auto kept = storage::model::normalize_name(*named.name);
  named.recomposed = kept && *kept != *named.name;
  named.name = std::move(kept);
  return named;
}

std::uint8_t special_uses(const imap::ListedMailbox& mailbox) {
  unsigned uses = 0;
  for (const auto& attribute : mailbox.attributes) {
    if (const auto use = imap::special_use(attribute)) uses |= *use;
  }
  return static_cast<std::uint8_t>(uses);
}

class Lister {
 public:
  Lister(directory::NameView names, const ImapListed& listed) : listed_(listed) {
    out_.names = std::move(names);
    for (const auto& status : listed.status) states_.emplace(status.name.wire, &status);
  }

  SourceListing list() {
    for (const auto& mailbox : listed_.mailboxes) add(mailbox);
    for (const auto& mailbox : listed_.subscribed) subscribe(mailbox);
    for (auto& mailbox : out_.mailboxes) mailbox.subscribed = mailbox.subscribed || subscriptions_.contains(mailbox.name);
    out_.subscriptions.assign(subscriptions_.begin(), subscriptions_.end());
    std::ranges::sort(out_.mailboxes, [](const SourceMailbox& a, const SourceMailbox& b) {
      return std::pair(a.name != "INBOX", std::string_view(a.name)) < std::pair(b.name != "INBOX", std::string_view(b.name));
    });
    return std::move(out_);
  }

 private:
  bool is_shared(std::string_view wire) const {
    return lies_in(wire, listed_.namespaces.others) || lies_in(wire, listed_.namespaces.shared);
  }

  void add(const imap::ListedMailbox& listed) {
    const auto named = name_of(out_.names, listed.name);
    const bool selectable = !listed.has_attribute("\\Noselect") && !listed.has_attribute("\\NonExistent");
    if (is_shared(named.wire)) {
      if (selectable) out_.left.push_back({named.wire, "is another user's, or shared", true});
      return;
    }
    if (!named.name) {
      if (selectable) out_.left.push_back({named.wire, named.name.error().text, false});
      return;
    }
    if (listed.has_attribute("\\Subscribed")) subscriptions_.insert(*named.name);
    if (listed.has_attribute("\\NonExistent")) return;  // a subscription alone
    const auto [seen, fresh] = names_.emplace(*named.name, named.wire);
    if (!fresh) {
      if (seen->second != named.wire) out_.left.push_back({named.wire, "has the same name here as " + seen->second, false});
      return;
    }
    auto& mailbox = out_.mailboxes.emplace_back();
    mailbox.wire = named.wire;
    mailbox.name = *named.name;
    mailbox.name_changed = named.changed;
    mailbox.recomposed = named.recomposed;
    mailbox.selectable = selectable;
    mailbox.special_use = special_uses(listed);
    const auto state = states_.find(named.wire);
    if (state != states_.end()) mailbox.state = cursor_of(*state->second);
  }

  void subscribe(const imap::ListedMailbox& listed) {
    const auto named = name_of(out_.names, listed.name);
    // LSUB with "*" shows no parents that are not subscribed; \Noselect here means that there is no such mailbox (RFC 3501 §6.3.9).
    if (named.name && !is_shared(named.wire)) subscriptions_.insert(*named.name);
  }

  const ImapListed& listed_;
  SourceListing out_;
  std::map<std::string_view, const imap::MailboxStatus*> states_;
  std::map<std::string, std::string> names_;  // storage name, wire name
  std::set<std::string> subscriptions_;
};

}  // namespace

directory::NameView view_of(const imap::Namespaces& namespaces, std::optional<char> separator) {
  directory::NameView view;
  view.separator = separator.value_or('\0');
  if (namespaces.personal.empty()) return view;
  const auto& own = namespaces.personal.front();
  view.separator = own.separator.value_or('\0');
  if (own.separator && own.prefix.ends_with(*own.separator)) view.prefix = own.prefix;
  return view;
}

SourceListing make_listing(directory::NameView names, const ImapListed& listed) { return Lister(std::move(names), listed).list(); }

Cursor cursor_of(const imap::MailboxStatus& status) {
  Cursor cursor;
  cursor.uid_validity = static_cast<std::uint32_t>(status.get("UIDVALIDITY").value_or(0));
  cursor.uid_next = static_cast<Uid>(status.get("UIDNEXT").value_or(0));
  cursor.highest_mod_seq = status.get("HIGHESTMODSEQ").value_or(0);
  cursor.messages = static_cast<std::uint32_t>(status.get("MESSAGES").value_or(0));
  return cursor;
}

SourceMessage message_of(const imap::FetchResult& fetched) {
  SourceMessage message;
  message.uid = fetched.uid.value_or(0);
  message.mod_seq = fetched.mod_seq.value_or(0);
  message.size = fetched.size;
  if (fetched.internal_date) {
    message.internal_date = fetched.internal_date->seconds;
    message.internal_zone = fetched.internal_date->zone_minutes;
  }
  if (!fetched.flags) return message;
  for (const auto& flag : *fetched.flags) {
    if (const auto bit = imap::system_flag(flag)) {
      message.system_flags |= *bit;
    } else if (imap::is_keyword(flag)) {
      message.keywords.push_back(flag);
    } else if (!iequals(flag, "\\Recent")) {  // a session's, not the message's
      message.odd_flags.push_back(flag);
    }
  }
  std::ranges::sort(message.keywords);
  const auto twice = std::ranges::unique(message.keywords);
  message.keywords.erase(twice.begin(), twice.end());
  return message;
}

}  // namespace relais::migrate
