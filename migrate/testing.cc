// Accounts in memory for tests; see testing.h.
#include "migrate/testing.h"

#include "base/check.h"
#include "migrate/copy_messages.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace relais::migrate::testing {
namespace {

const std::string kPrefix = "~";  // of all wire names

/// Others run meanwhile.
net::asio::awaitable<void> yield() { co_await net::asio::post(co_await net::asio::this_coro::executor, net::asio::use_awaitable); }

SourceMessage describe(Uid uid, const HeldMessage& message) {
  SourceMessage out;
  out.uid = uid;
  out.system_flags = message.flags;
  out.keywords.assign(message.keywords.begin(), message.keywords.end());
  out.odd_flags = message.odd_flags;
  out.mod_seq = message.mod_seq;
  out.size = message.told_size.value_or(message.octets.size());
  out.internal_date = message.date;
  out.internal_zone = message.zone;
  return out;
}

std::vector<SourceMessage> describe_some(const HeldMailbox& mailbox, const NumberSet& uids) {
  std::vector<SourceMessage> out;
  for (const auto& [uid, message] : mailbox.messages) {
    if (uids.contains(uid)) out.push_back(describe(uid, message));
  }
  return out;
}

void set_flags_of(HeldMessage& held, const SourceMessage& message) {
  held.flags = message.system_flags;
  held.keywords = {message.keywords.begin(), message.keywords.end()};
  held.mod_seq = message.mod_seq;
}

}  // namespace

HeldMailbox& MemoryServer::create(const std::string& name) {
  auto& mailbox = mailboxes[name] = HeldMailbox{};
  mailbox.uid_validity = next_validity++;
  mailbox.highest_mod_seq = ++mod_seq_;
  return mailbox;
}

void MemoryServer::rename(const std::string& from, const std::string& to) {
  auto mailbox = mailboxes.extract(from);
  mailbox.key() = to;
  mailboxes.erase(to);
  mailboxes.insert(std::move(mailbox));
}

Uid MemoryServer::append(const std::string& name, HeldMessage message) {
  auto& mailbox = mailboxes.at(name);
  const auto uid = mailbox.uid_next++;
  mailbox.messages.emplace(uid, std::move(message));
  touched(mailbox, uid);
  return uid;
}

void MemoryServer::touched(HeldMailbox& mailbox, Uid uid) {
  mailbox.highest_mod_seq = ++mod_seq_;
  mailbox.messages.at(uid).mod_seq = kind_ == Kind::plain ? 0 : mod_seq_;
}

void MemoryServer::expunge(const std::string& name, Uid uid) {
  auto& mailbox = mailboxes.at(name);
  if (mailbox.messages.erase(uid) == 0) return;
  mailbox.highest_mod_seq = ++mod_seq_;
  mailbox.vanished[uid] = mod_seq_;
}

void Clients::act() {
  switch (below(16)) {
    case 0: create(); break;
    case 1: remove(); break;
    case 2: rename(); break;
    case 3: reset(); break;
    case 4: use(); break;
    case 5: subscribe(); break;
    case 6:
    case 7: expunge(); break;
    case 8:
    case 9:
    case 10: flag(); break;
    case 11: toggle(); break;
    default: append(); break;
  }
}

std::string Clients::name() { return std::string(1, static_cast<char>('a' + below(4))) + (one_in(3) ? "/sub" : ""); }

std::string Clients::any() {
  return std::next(server_.mailboxes.begin(), below(static_cast<std::uint32_t>(server_.mailboxes.size())))->first;
}

std::pair<std::string, Uid> Clients::any_message() {
  auto where = any();
  const auto& messages = server_.mailboxes.at(where).messages;
  if (messages.empty()) return {where, 0};
  return {where, std::next(messages.begin(), below(static_cast<std::uint32_t>(messages.size())))->first};
}

std::set<std::string> Clients::keywords() {
  std::set<std::string> out;
  while (one_in(2)) out.insert("k" + std::to_string(below(5)));
  return out;
}

void Clients::create() {
  const auto made = name();
  if (server_.mailboxes.contains(made)) return;
  server_.create(made).selectable = !one_in(6);
}

void Clients::remove() {
  const auto gone = any();
  if (gone != "INBOX") server_.remove(gone);
}

void Clients::rename() {
  const auto from = any();
  const auto to = name();
  if (from != "INBOX" && !server_.mailboxes.contains(to)) server_.rename(from, to);
}

void Clients::reset() {
  if (!one_in(4)) return;
  auto& mailbox = server_.mailboxes.at(any());
  mailbox.uid_validity = server_.next_validity++;
  if (one_in(2)) mailbox.messages.clear();
}

void Clients::use() { server_.mailboxes.at(any()).special_use = static_cast<std::uint8_t>(one_in(3) ? 0 : 1U << below(7)); }

void Clients::subscribe() {
  const auto which = one_in(3) ? name() : any();
  if (!server_.subscriptions.insert(which).second) server_.subscriptions.erase(which);
}

void Clients::expunge() {
  const auto [where, uid] = any_message();
  if (uid != 0) server_.expunge(where, uid);
}

void Clients::flag() {
  const auto [where, uid] = any_message();
  if (uid == 0) return;
  auto& mailbox = server_.mailboxes.at(where);
  auto& message = mailbox.messages.at(uid);
  message.flags = below(32);
  message.keywords = keywords();
  server_.touched(mailbox, uid);
}

void Clients::toggle() {
  const auto [where, uid] = any_message();
  if (uid != 0 && one_in(3)) server_.mailboxes.at(where).messages.at(uid).unreadable = one_in(2);
}

void Clients::append() {
  const auto where = any();
  auto& mailbox = server_.mailboxes.at(where);
  if (!mailbox.selectable) return;
  if (one_in(5)) mailbox.uid_next += below(4);
  for (auto count = below(6); count > 0; --count) {
    HeldMessage message;
    message.octets = "Subject: message " + std::to_string(serial_++) + "\r\n\r\n" + std::string(below(40), 'x');
    message.flags = below(32);
    message.keywords = keywords();
    message.date = below(1'000'000);
    message.zone = static_cast<std::int16_t>(below(3) * 60);
    message.unreadable = one_in(20);
    server_.append(where, std::move(message));
  }
}

MemorySource::MemorySource(MemoryServer& server, Hook hook) : server_(server), hook_(std::move(hook)) {
  traits_.mod_seqs = server.kind() != MemoryServer::Kind::plain;
  traits_.vanished = server.kind() == MemoryServer::Kind::qresync;
  traits_.state_is_cheap = true;
}

net::Task<void> MemorySource::step(std::string_view what) {
  co_await yield();
  co_return hook_ ? hook_(what) : Result<void>{};
}

Cursor MemorySource::state_of(const HeldMailbox& mailbox) const {
  return {mailbox.uid_validity, mailbox.uid_next, traits_.mod_seqs ? mailbox.highest_mod_seq : 0,
          static_cast<std::uint32_t>(mailbox.messages.size())};
}

Result<HeldMailbox*> MemorySource::open(const SourceMailbox& mailbox) {
  const auto found = server_.mailboxes.find(mailbox.wire.substr(kPrefix.size()));
  if (found == server_.mailboxes.end() || !found->second.selectable) return fail(Fault::refused, "no such mailbox", "NONEXISTENT");
  return &found->second;
}

net::Task<SourceListing> MemorySource::list() {
  RELAIS_CO_TRY_VOID(co_await step("list"));
  SourceListing listing;
  for (const auto& [name, mailbox] : server_.mailboxes) {
    SourceMailbox out;
    out.wire = kPrefix + name;
    out.name = name;
    out.selectable = mailbox.selectable;
    out.subscribed = server_.subscriptions.contains(name);
    out.special_use = mailbox.special_use;
    if (mailbox.selectable) out.state = state_of(mailbox);
    listing.mailboxes.push_back(std::move(out));
  }
  std::ranges::sort(listing.mailboxes, {}, [](const SourceMailbox& one) { return std::pair(one.name != "INBOX", one.name); });
  listing.subscriptions.assign(server_.subscriptions.begin(), server_.subscriptions.end());
  listing.left = left;
  co_return listing;
}

net::Task<SourceChanges> MemorySource::changes(const SourceMailbox& mailbox, Cursor since, const NumberSet& known) {
  RELAIS_CO_TRY_VOID(co_await step("changes"));
  RELAIS_CO_TRY(const auto* found, open(mailbox));
  SourceChanges out;
  out.state = state_of(*found);
  out.restarted = since.uid_validity != found->uid_validity;
  const bool by_mod_seq = !out.restarted && traits_.mod_seqs && since.highest_mod_seq != 0;
  for (const auto& [uid, message] : found->messages) {
    if (!by_mod_seq || message.mod_seq > since.highest_mod_seq) out.changed.push_back(describe(uid, message));
  }
  if (by_mod_seq && traits_.vanished) {
    for (const auto& [uid, mod_seq] : found->vanished) {
      if (mod_seq > since.highest_mod_seq) out.vanished.add(uid);
    }
  }
  auto expected = known;
  expected.remove(out.vanished);
  for (const auto& message : out.changed) expected.add(message.uid);
  if (by_mod_seq && expected.count() == found->messages.size()) co_return out;
  out.all.emplace();
  std::map<Uid, SourceMessage> told;
  for (auto& message : out.changed) told.emplace(message.uid, std::move(message));
  for (const auto& [uid, message] : found->messages) {
    out.all->add(uid);
    if (!known.contains(uid)) told.try_emplace(uid, describe(uid, message));
  }
  out.changed.clear();
  for (auto& [uid, message] : told) out.changed.push_back(std::move(message));
  co_return out;
}

net::Task<void> MemorySource::messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) {
  std::vector<Uid> order;
  uids.for_each([&](Uid uid) { order.push_back(uid); });
  asked += order.size();
  if (server_.out_of_order) std::ranges::reverse(order);
  for (const auto uid : order) {
    RELAIS_CO_TRY_VOID(co_await step("message"));
    RELAIS_CO_TRY(const auto* found, open(mailbox));
    if (found->uid_validity != mailbox.state.uid_validity) co_return fail(Fault::refused, "another UIDVALIDITY", "UIDVALIDITY");
    const auto message = found->messages.find(uid);
    if (message == found->messages.end()) continue;
    if (message->second.unreadable) {
      RELAIS_CO_TRY_VOID(co_await receiver.unreadable(uid, Error{Fault::refused, "", "cannot be read"}));
      continue;
    }
    const auto octets = message->second.octets;
    RELAIS_CO_TRY_VOID(co_await receiver.take(Message{describe(uid, message->second), octets}));
    RELAIS_CO_TRY_VOID(co_await step("message sent"));
  }
  co_return Result<void>{};
}

net::Task<std::vector<SourceMessage>> MemorySource::everything(const SourceMailbox& mailbox) {
  RELAIS_CO_TRY_VOID(co_await step("everything"));
  RELAIS_CO_TRY(const auto* found, open(mailbox));
  if (found->uid_validity != mailbox.state.uid_validity) co_return fail(Fault::refused, "another UIDVALIDITY", "UIDVALIDITY");
  std::vector<SourceMessage> out;
  for (const auto& [uid, message] : found->messages) out.push_back(describe(uid, message));
  co_return out;
}

net::Task<std::vector<SourceMessage>> MemorySource::everything(const SourceMailbox& mailbox, NumberSet uids) {
  RELAIS_CO_TRY_VOID(co_await step("everything of some"));
  RELAIS_CO_TRY(const auto* found, open(mailbox));
  if (found->uid_validity != mailbox.state.uid_validity) co_return fail(Fault::refused, "another UIDVALIDITY", "UIDVALIDITY");
  co_return describe_some(*found, uids);
}

net::Task<void> MemoryTarget::begin(std::string_view what) {
  co_await yield();
  co_return hook_ ? hook_(what) : Result<void>{};
}

Result<void> MemoryTarget::done(std::string_view what) {
  ++writes;
  return hook_ ? hook_(std::string(what) + " done") : Result<void>{};
}

Result<HeldMailbox*> MemoryTarget::open(const TargetMailbox& mailbox) {
  for (auto& [name, held] : mailboxes) {
    if (held.id == mailbox.id) return &held;
  }
  return fail(Fault::refused, "no such mailbox", "NONEXISTENT", mailbox.name);
}

TargetMailbox MemoryTarget::info(const std::string& name, const HeldMailbox& mailbox) const {
  TargetMailbox out;
  out.name = name;
  out.id = mailbox.id;
  out.uid_validity = mailbox.uid_validity;
  out.uid_next = mailbox.uid_next;
  out.highest_mod_seq = mailbox.highest_mod_seq;
  out.messages = static_cast<std::uint32_t>(mailbox.messages.size());
  out.special_use = mailbox.special_use;
  out.selectable = mailbox.selectable;
  std::set<std::string> keywords;
  for (const auto& [uid, message] : mailbox.messages) keywords.insert(message.keywords.begin(), message.keywords.end());
  out.keywords.assign(keywords.begin(), keywords.end());
  return out;
}

net::Task<TargetListing> MemoryTarget::list() {
  RELAIS_CO_TRY_VOID(co_await begin("target list"));
  TargetListing out;
  for (const auto& [name, mailbox] : mailboxes) out.mailboxes.push_back(info(name, mailbox));
  std::ranges::sort(out.mailboxes, {}, [](const TargetMailbox& one) { return std::pair(one.name != "INBOX", one.name); });
  out.subscriptions = subscriptions;
  co_return out;
}

net::Task<NumberSet> MemoryTarget::uids(const TargetMailbox& mailbox) {
  RELAIS_CO_TRY_VOID(co_await begin("uids"));
  RELAIS_CO_TRY(const auto* held, open(mailbox));
  NumberSet out;
  for (const auto& [uid, message] : held->messages) out.add(uid);
  co_return out;
}

net::Task<TargetMailbox> MemoryTarget::create(const SourceMailbox& mailbox) {
  RELAIS_CO_TRY_VOID(co_await begin("create"));
  for (const auto& [name, held] : mailboxes) {
    if (name == mailbox.name || (held.special_use & mailbox.special_use) == 0) continue;
    co_return fail(Fault::refused, "another mailbox has the special use", "USEATTR");
  }
  auto found = mailboxes.find(mailbox.name);
  const bool same = found != mailboxes.end() && found->second.selectable == mailbox.selectable &&
                    (!mailbox.selectable || found->second.uid_validity == mailbox.state.uid_validity);
  if (!same) {
    found = mailboxes.insert_or_assign(mailbox.name, HeldMailbox{.id = next_id_++, .uid_validity = mailbox.state.uid_validity}).first;
    found->second.selectable = mailbox.selectable;
  }
  found->second.special_use = mailbox.special_use;
  // Parents are names alone until they are made.
  for (auto slash = mailbox.name.find('/'); slash != std::string::npos; slash = mailbox.name.find('/', slash + 1)) {
    mailboxes.try_emplace(mailbox.name.substr(0, slash), HeldMailbox{.id = next_id_++, .selectable = false});
  }
  const auto out = info(mailbox.name, found->second);
  RELAIS_CO_TRY_VOID(done("create"));
  co_return out;
}

net::Task<void> MemoryTarget::rename(const TargetMailbox& mailbox, std::string to) {
  RELAIS_CO_TRY_VOID(co_await begin("rename"));
  RELAIS_CO_TRY(const auto* held, open(mailbox));
  const auto there = mailboxes.find(to);
  if (there != mailboxes.end() && there->second.selectable) co_return fail(Fault::refused, "there is one", "ALREADYEXISTS");
  mailboxes[to] = *held;
  drop(mailbox.name);
  co_return done("rename");
}

// What has children stays as a name.
void MemoryTarget::drop(const std::string& name) {
  const auto child = mailboxes.lower_bound(name + "/");
  if (child != mailboxes.end() && child->first.starts_with(name + "/")) {
    mailboxes[name] = HeldMailbox{.id = next_id_++, .selectable = false};
  } else {
    mailboxes.erase(name);
  }
}

net::Task<void> MemoryTarget::remove(const TargetMailbox& mailbox) {
  RELAIS_CO_TRY_VOID(co_await begin("remove"));
  if (open(mailbox)) drop(mailbox.name);
  co_return done("remove");
}

net::Task<void> MemoryTarget::set_subscriptions(std::vector<std::string> names) {
  RELAIS_CO_TRY_VOID(co_await begin("subscriptions"));
  subscriptions = std::move(names);
  co_return done("subscriptions");
}

net::Task<void> MemoryTarget::append(const TargetMailbox& mailbox, std::vector<Message> messages) {
  RELAIS_CO_TRY_VOID(co_await begin("append"));
  for (unsigned i = 0; i < slowness; ++i) co_await yield();
  RELAIS_CO_TRY(auto* held, open(mailbox));
  auto next = *held;
  std::uint64_t octets = 0;
  Uid before = 0;
  for (const auto& message : messages) {
    const auto uid = message.about.uid;
    octets += message.octets.size();
    if (uid <= std::exchange(before, uid)) co_return fail(Fault::refused, "UIDs do not ascend", "CANNOT");
    const auto there = next.messages.find(uid);
    if (there != next.messages.end() && there->second.octets == message.octets) continue;
    if (uid < next.uid_next) co_return fail(Fault::refused, "UID is taken", "CANNOT");
    HeldMessage one{.octets = std::string(message.octets)};
    if (damaged.erase(one.octets) != 0) one.octets.back() ^= 1;
    set_flags_of(one, message.about);
    one.date = message.about.internal_date.value_or(0);
    one.zone = message.about.internal_zone;
    next.messages.emplace(uid, std::move(one));
    next.uid_next = uid + 1;
  }
  if (info("", next).keywords.size() > traits_.max_keywords) co_return fail(Fault::refused, "too many keywords", "LIMIT");
  *held = std::move(next);
  largest_append = std::max(largest_append, octets);
  co_return done("append");
}

net::Task<void> MemoryTarget::set_flags(const TargetMailbox& mailbox, std::vector<SourceMessage> messages) {
  RELAIS_CO_TRY_VOID(co_await begin("flags"));
  RELAIS_CO_TRY(auto* held, open(mailbox));
  for (const auto& message : messages) {
    const auto there = held->messages.find(message.uid);
    if (there != held->messages.end()) set_flags_of(there->second, message);
  }
  co_return done("flags");
}

net::Task<void> MemoryTarget::expunge(const TargetMailbox& mailbox, NumberSet uids, ModSeq) {
  RELAIS_CO_TRY_VOID(co_await begin("expunge"));
  RELAIS_CO_TRY(auto* held, open(mailbox));
  uids.for_each([&](Uid uid) { held->messages.erase(uid); });
  co_return done("expunge");
}

net::Task<void> MemoryTarget::set_counters(const TargetMailbox& mailbox, Uid uid_next, ModSeq highest_mod_seq) {
  RELAIS_CO_TRY_VOID(co_await begin("counters"));
  RELAIS_CO_TRY(auto* held, open(mailbox));
  held->uid_next = std::max(held->uid_next, uid_next);
  held->highest_mod_seq = std::max(held->highest_mod_seq, highest_mod_seq);
  co_return done("counters");
}

net::Task<std::vector<SourceMessage>> MemoryTarget::everything(const TargetMailbox& mailbox) {
  RELAIS_CO_TRY_VOID(co_await begin("target everything"));
  RELAIS_CO_TRY(const auto* held, open(mailbox));
  std::vector<SourceMessage> out;
  for (const auto& [uid, message] : held->messages) out.push_back(describe(uid, message));
  co_return out;
}

net::Task<std::vector<SourceMessage>> MemoryTarget::everything(const TargetMailbox& mailbox, NumberSet uids) {
  RELAIS_CO_TRY_VOID(co_await begin("target everything of some"));
  RELAIS_CO_TRY(const auto* held, open(mailbox));
  co_return describe_some(*held, uids);
}

net::Task<std::vector<TargetDigest>> MemoryTarget::digests(const TargetMailbox& mailbox, NumberSet uids) {
  RELAIS_CO_TRY_VOID(co_await begin("digests"));
  RELAIS_CO_TRY(const auto* held, open(mailbox));
  std::vector<TargetDigest> out;
  for (const auto& [uid, message] : held->messages) {
    if (uids.contains(uid)) out.push_back({uid, message.octets.size(), digest_of(message.octets)});
  }
  co_return out;
}

std::string difference(const MemoryServer& server, const std::map<std::string, HeldMailbox>& copy) {
  std::string out;
  for (const auto& [name, there] : server.mailboxes) {
    const auto found = copy.find(name);
    if (found == copy.end()) {
      out += name + " is missing\n";
      continue;
    }
    const auto& here = found->second;
    if (there.selectable != here.selectable) out += name + " is of another kind\n";
    if (!there.selectable) continue;
    if (there.uid_validity != here.uid_validity) out += name + " has another UIDVALIDITY\n";
    if (there.uid_next != here.uid_next) out += name + " has another UIDNEXT\n";
    if (there.special_use != here.special_use) out += name + " has another special use\n";
    for (const auto& [uid, message] : there.messages) {
      const auto one = here.messages.find(uid);
      const auto label = name + " " + std::to_string(uid);
      if (one == here.messages.end()) {
        if (!message.unreadable) out += label + " is missing\n";
        continue;
      }
      const auto& held = one->second;
      if (held.octets != message.octets) out += label + " has other octets\n";
      if (held.flags != message.flags || held.keywords != message.keywords) out += label + " has other flags\n";
      if (held.date != message.date || held.zone != message.zone) out += label + " has another date\n";
      if (message.mod_seq != 0 && held.mod_seq != message.mod_seq) out += label + " has another MODSEQ\n";
    }
    for (const auto& [uid, message] : here.messages) {
      if (!there.messages.contains(uid)) out += name + " " + std::to_string(uid) + " is extra\n";
    }
  }
  for (const auto& [name, here] : copy) {
    if (here.selectable && !server.mailboxes.contains(name)) out += name + " is extra\n";
  }
  return out;
}

}  // namespace relais::migrate::testing
