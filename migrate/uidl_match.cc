// Matches a POP3 drop to INBOX; see uidl_match.h.
#include "migrate/uidl_match.h"

#include "base/ascii.h"
#include "directory/digest.h"
#include "migrate/uidl_formula.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace relais::migrate {
namespace {

using storage::Uid;

constexpr std::size_t kMaxUidl = 70;  // RFC 1939 §7
constexpr std::string_view kInbox = "INBOX";
/// Above this a UIDVALIDITY is no small number that stands in a UIDL by chance: servers take the time in seconds.
constexpr std::uint32_t kUncommon = 1'000'000;

bool is_uidl(std::string_view uidl) noexcept {
  return !uidl.empty() && uidl.size() <= kMaxUidl && std::ranges::all_of(uidl, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

bool same_size(const InboxMessage& message, const DropEntry& entry) noexcept { return message.size && message.size == entry.size; }

Finding finding(std::string code, Weight weight, Uid uid, std::string text) {
  return {.code = std::move(code), .weight = weight, .mailbox = std::string(kInbox), .uid = uid, .text = std::move(text)};
}

/// For a report: what is no printable character is shown as "?".
std::string shown(std::string_view uidl) {
  constexpr std::size_t kMost = 80;
  std::string out(uidl.substr(0, kMost));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return uidl.size() > kMost ? out + "…" : out;
}

class Matcher {
 public:
  Matcher(std::uint32_t uid_validity, std::span<const InboxMessage> inbox, std::span<const DropEntry> drop)
      : uid_validity_(uid_validity), inbox_(inbox), drop_(drop), taken_(inbox.size()), settled_(drop.size()) {
    out_.entries.resize(drop.size());
    for (std::size_t i = 0; i < drop.size(); ++i) out_.entries[i].keeps_uidl = is_uidl(drop[i].uidl);
  }

  DropMatch run() {
    by_file();
    by_formulas();
    by_order();
    by_header();
    want();
    report();
    return std::move(out_);
  }

 private:
  void match(std::size_t entry, std::size_t message, FoundBy how) {
    out_.entries[entry].uid = inbox_[message].uid;
    out_.entries[entry].how = how;
    taken_[message] = true;
    settled_[entry] = true;
  }

  std::optional<std::size_t> index_of(Uid uid) const {
    const auto found = std::ranges::lower_bound(inbox_, uid, {}, &InboxMessage::uid);
    if (found == inbox_.end() || found->uid != uid) return std::nullopt;
    return static_cast<std::size_t>(found - inbox_.begin());
  }

  // ---- 1
  void by_file() {
    std::unordered_map<std::string_view, std::size_t> files;
    for (std::size_t i = 0; i < inbox_.size(); ++i) {
      if (!inbox_[i].file.empty()) files.emplace(inbox_[i].file, i);
    }
    if (files.empty()) return;
    for (std::size_t i = 0; i < drop_.size(); ++i) {
      const auto found = files.find(drop_[i].uidl);
      if (found != files.end() && !taken_[found->second]) match(i, found->second, FoundBy::file);
    }
  }

  // ---- 2
  void by_formulas() {
    for (const auto& formula : known_uidl_formulas()) {
      const bool sure = formula.has_uid_validity() && uid_validity_ >= kUncommon;
      if (!sure && !fits_all(formula)) continue;
      std::size_t fits = 0;
      for (std::size_t i = 0; i < drop_.size(); ++i) {
        if (settled_[i]) continue;
        const auto uid = formula.uid_of(drop_[i].uidl, uid_validity_);
        if (!uid) continue;
        const auto message = index_of(*uid);
        settled_[i] = true;  // found, expunged between the two readings, or there twice: in no case another one
        if (message && taken_[*message]) continue;
        ++fits;
        if (message) match(i, *message, FoundBy::formula);
      }
      if (fits == drop_.size() && fits >= kFormulaFrom) out_.formula = formula.text();
    }
  }

  /// Whether a formula that could fit by chance is confirmed by everything else.
  bool fits_all(const UidlFormula& formula) const {
    Uid last = 0;
    for (std::size_t i = 0; i < drop_.size(); ++i) {
      if (settled_[i]) return false;
      const auto uid = formula.uid_of(drop_[i].uidl, uid_validity_);
      const auto message = uid ? index_of(*uid) : std::nullopt;
      if (!message || *uid <= last || taken_[*message] || !same_size(inbox_[*message], drop_[i])) return false;
      last = *uid;
    }
    return !drop_.empty();
  }

  std::vector<std::size_t> open_entries() const {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < drop_.size(); ++i) {
      if (!settled_[i]) open.push_back(i);
    }
    return open;
  }
  std::vector<std::size_t> open_messages() const {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < inbox_.size(); ++i) {
      if (!taken_[i]) open.push_back(i);
    }
    return open;
  }

  // ---- 3
  void by_order() {
    const auto entries = open_entries();
    const auto messages = open_messages();
    if (entries.size() != messages.size()) return;
    std::map<std::uint64_t, std::size_t> sizes;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto& message = inbox_[messages[i]];
      const auto& entry = drop_[entries[i]];
      if (!same_size(message, entry)) return;
      // What is known of headers must not speak against it.
      if (!message.header.empty() && !entry.header.empty() && message.header != entry.header) return;
      ++sizes[*message.size];
    }
    const auto own = std::ranges::count_if(sizes, [](const auto& size) { return size.second == 1; });
    if (static_cast<std::size_t>(own) * 2 < entries.size()) return;
    for (std::size_t i = 0; i < entries.size(); ++i) match(entries[i], messages[i], FoundBy::order);
  }

  // ---- 4
  struct Group {
    std::vector<std::size_t> entries{};
    std::vector<std::size_t> messages{};
  };

  void by_header() {
    std::map<std::string_view, Group> groups;
    bool entries_known = true;
    bool messages_known = true;
    for (const auto i : open_entries()) {
      if (!drop_[i].header.empty()) groups[drop_[i].header].entries.push_back(i);
      entries_known = entries_known && !drop_[i].header.empty();
    }
    for (const auto i : open_messages()) {
      if (!inbox_[i].header.empty()) groups[inbox_[i].header].messages.push_back(i);
      messages_known = messages_known && !inbox_[i].header.empty();
    }
    const bool all_known = entries_known && messages_known;  // else there may be more with the same header
    for (const auto& [header, group] : groups) {
      if (group.entries.size() != 1 || group.messages.size() != 1) {
        if (all_known) by_size(group);
      } else if (all_known || same_size(inbox_[group.messages.front()], drop_[group.entries.front()])) {
        match(group.entries.front(), group.messages.front(), FoundBy::header);
      }
    }
  }

  /// Copies of one message: those of equal size are as good as each other, where as many are on both sides.
  void by_size(const Group& group) {
    std::map<std::uint64_t, Group> sizes;
    for (const auto i : group.entries) {
      if (drop_[i].size) sizes[*drop_[i].size].entries.push_back(i);
    }
    for (const auto i : group.messages) {
      if (inbox_[i].size) sizes[*inbox_[i].size].messages.push_back(i);
    }
    for (const auto& [size, same] : sizes) {
      if (same.entries.size() != same.messages.size()) continue;
      for (std::size_t i = 0; i < same.entries.size(); ++i) match(same.entries[i], same.messages[i], FoundBy::header);
    }
  }

  void want() {
    const auto entries = open_entries();
    const auto messages = open_messages();
    if (entries.empty() || messages.empty()) return;
    for (const auto i : entries) {
      if (drop_[i].header.empty()) out_.wanted_entries.push_back(i);
    }
    for (const auto i : messages) {
      if (inbox_[i].header.empty()) out_.wanted_uids.push_back(inbox_[i].uid);
    }
  }

  // ---- findings
  void report() {
    std::unordered_set<std::string_view> seen;
    std::size_t unmatched = 0;
    std::string_view example;
    Uid last = 0;
    for (std::size_t i = 0; i < drop_.size(); ++i) {
      const auto& entry = out_.entries[i];
      const auto& uidl = drop_[i].uidl;
      if (!entry.keeps_uidl)
        out_.findings.push_back(finding("uidl-not-kept", Weight::amber, entry.uid,
                                        "its POP3 unique id is longer than 70 characters or has others than printable ones: clients will "
                                        "fetch the message again: " +
                                            shown(uidl)));
      else if (!seen.insert(uidl).second)
        out_.findings.push_back(
            finding("uidl-twice", Weight::amber, entry.uid, "two messages of the POP3 drop have the unique id " + shown(uidl)));
      if (entry.uid == 0) {
        if (unmatched++ == 0) example = uidl;
        continue;
      }
      out_.in_uid_order = out_.in_uid_order && entry.uid > last;
      last = entry.uid;
    }
    if (!out_.in_uid_order) out_.findings.push_back(finding("pop3-order", Weight::note, 0, "POP3 has another order than the UIDs"));
    if (!out_.wanted_entries.empty() || !out_.wanted_uids.empty()) return;
    if (unmatched > 0)
      out_.findings.push_back(finding("uidl-unmatched", Weight::amber, 0,
                                      std::to_string(unmatched) + " of " + std::to_string(drop_.size()) +
                                          " messages of the POP3 drop cannot be told from others in INBOX: clients will fetch them again; "
                                          "the first is " +
                                          shown(example)));
    if (const auto left = open_messages().size(); left > 0)
      out_.findings.push_back(finding("not-in-drop", Weight::amber, 0,
                                      std::to_string(left) + " of " + std::to_string(inbox_.size()) +
                                          " messages of INBOX are none of the POP3 drop's for sure: POP3 clients will fetch them"));
  }

  const std::uint32_t uid_validity_;
  const std::span<const InboxMessage> inbox_;
  const std::span<const DropEntry> drop_;
  std::vector<bool> taken_;    // messages of INBOX
  std::vector<bool> settled_;  // entries: matched, or known to be none of INBOX
  DropMatch out_;
};

/// Fields that servers add to what they keep, or to what they show by one protocol alone.
bool is_servers_own(std::string_view line) noexcept {
  constexpr std::array<std::string_view, 7> kNames{"status", "x-status", "x-uid", "x-uidl", "x-imapbase", "x-keywords", "content-length"};
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  auto name = line.substr(0, colon);
  while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
  return std::ranges::any_of(kNames, [name](std::string_view own) { return iequals(name, own); });
}

}  // namespace

std::string_view to_string(FoundBy how) noexcept {
  switch (how) {
    case FoundBy::nothing: return "nothing";
    case FoundBy::formula: return "formula";
    case FoundBy::file: return "file";
    case FoundBy::order: return "order";
    case FoundBy::header: return "header";
  }
  return "";
}

DropMatch match_drop(std::uint32_t uid_validity, std::span<const InboxMessage> inbox, std::span<const DropEntry> drop) {
  return Matcher(uid_validity, inbox, drop).run();
}

std::string header_digest(std::string_view octets) {
  std::string kept;
  kept.reserve(std::min<std::size_t>(octets.size(), 16 * 1024));
  bool own = false;
  while (!octets.empty()) {
    const auto end = octets.find('\n');
    auto line = octets.substr(0, end);
    octets.remove_prefix(end == std::string_view::npos ? octets.size() : end + 1);
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    if (line.front() != ' ' && line.front() != '\t') own = is_servers_own(line);  // else it belongs to the field before
    if (!own) kept.append(line).append("\n");
  }
  return directory::digest(directory::Digest::sha256, kept);
}

}  // namespace relais::migrate
