// Reads an account over IMAP; see imap_source.h.
#include "migrate/imap_source.h"

#include "base/ascii.h"
#include "imap/proto/client_command.h"
#include "imap/proto/response_reader.h"
#include "migrate/imap_listing.h"
#include "migrate/imap_messages.h"

#include <algorithm>
#include <utility>

namespace relais::migrate {
namespace {

using imap::Response;
using Kind = Response::Kind;

/// In a source's words: a connection that is gone can be opened again.
Error as_source(Error error) {
  if (error.fault == Fault::closed) error.fault = Fault::temporary;
  return error;
}
std::unexpected<Error> failed(Error error) { return fail(as_source(std::move(error))); }

/// A NO that may be about one of the messages asked for: Dovecot says [SERVERBUG] where it can't read one.
bool is_of_a_message(const Error& error) { return error.fault == Fault::refused || error.code == "SERVERBUG"; }

std::string items_of_everything(const imap::ClientMailbox& selected) {
  return selected.highest_mod_seq ? "(UID FLAGS RFC822.SIZE INTERNALDATE MODSEQ)" : "(UID FLAGS RFC822.SIZE INTERNALDATE)";
}

class ImapSource final : public Source {
 public:
  ImapSource(std::unique_ptr<imap::Client> client, ImapSourceLimits limits) : client_(std::move(client)), limits_(limits) {}

  net::Task<void> begin();

  const SourceTraits& traits() const noexcept override { return traits_; }
  net::Task<SourceListing> list() override;
  net::Task<SourceChanges> changes(const SourceMailbox& mailbox, Cursor since, const NumberSet& known) override;
  net::Task<void> messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) override;
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox) override;
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox, NumberSet uids) override;
  net::Task<SourceExtras> extras(const SourceListing& listing) override;
  net::Task<void> wait(net::Deadline deadline) override;
  std::chrono::microseconds round_trip() const noexcept override { return client_->round_trip(); }
  net::asio::awaitable<void> close() override { return client_->logout(); }

 private:
  bool has(std::string_view capability) const noexcept { return client_->has(capability); }
  bool has_list_extended() const noexcept { return has("LIST-EXTENDED") || has("IMAP4REV2"); }
  std::string status_items() const;
  net::Task<void> ask_states(std::vector<SourceMailbox>& mailboxes);
  net::Task<imap::ClientMailbox> examine(std::string wire, std::optional<imap::ClientSelect::Qresync> qresync);
  /// Selected anew, whatever was selected: what is there now. With the UIDVALIDITY that the caller knows.
  net::Task<imap::ClientMailbox> examine_again(const SourceMailbox& mailbox);
  /// A mailbox of which messages are asked for: selected, and with the UIDVALIDITY that the caller knows.
  net::Task<void> enter(const SourceMailbox& mailbox);
  net::Task<std::vector<SourceMessage>> fetch_all(std::string set, std::string items, std::string modifiers);
  /// All messages of the mailbox selected, none missing.
  net::Task<std::vector<SourceMessage>> complete(std::uint32_t exists, std::string items);
  /// Where the number of messages is not what it should be by what was told: asks what is there, and of what nobody has told.
  net::Task<void> reconcile(SourceChanges& out, const NumberSet& known);
  net::Task<void> fetch_quota(SourceExtras& extras);
  net::Task<void> fetch_acl(const SourceMailbox& mailbox, SourceExtras& extras);
  net::Task<void> fetch_metadata(std::string wire, std::string name, SourceExtras& extras);
  net::Task<void> ask(imap::ClientCommand command, std::function<void(const Response&)> told);

  std::unique_ptr<imap::Client> client_;
  const ImapSourceLimits limits_;
  SourceTraits traits_;
  imap::Namespaces namespaces_;
  directory::NameView names_;
  std::string selected_;  // wire name; empty: none
  std::uint32_t selected_validity_ = 0;
};

// RFC 7162 §3.2.3: QRESYNC is used after ENABLE only; it brings CONDSTORE with it.
net::Task<void> ImapSource::begin() {
  if (has("QRESYNC") && has("ENABLE")) {
    const auto on = co_await client_->enable({"QRESYNC"});
    if (!on && on.error().fault == Fault::closed) co_return failed(on.error());
    traits_.vanished = on && std::ranges::find(*on, "QRESYNC") != on->end();
  }
  traits_.mod_seqs = traits_.vanished || has("CONDSTORE");
  traits_.state_is_cheap = has_list_extended() && (has("LIST-STATUS") || has("IMAP4REV2"));
  traits_.described = traits_.vanished ? "QRESYNC" : traits_.mod_seqs ? "CONDSTORE" : "plain IMAP";
  if (traits_.state_is_cheap) traits_.described += ", LIST-STATUS";
  if (has("NAMESPACE") || has("IMAP4REV2")) {
    auto told = co_await client_->namespaces();
    if (!told && told.error().fault == Fault::closed) co_return failed(told.error());
    if (told) namespaces_ = std::move(*told);
  }
  std::optional<char> separator;
  if (namespaces_.personal.empty()) {
    auto root = co_await client_->list("", "", "", "");  // RFC 9051 §6.3.9: the separator alone
    if (!root) co_return failed(root.error());
    if (!root->mailboxes.empty()) separator = root->mailboxes.front().separator;
  }
  names_ = view_of(namespaces_, separator);
  co_return Result<void>{};
}

// Not MAILBOXID: nobody here needs it, and Cyrus 3.6 tells octets of freed memory in its place, line ends among them.
std::string ImapSource::status_items() const {
  std::string items = "MESSAGES UIDNEXT UIDVALIDITY";
  if (traits_.mod_seqs) items += " HIGHESTMODSEQ";
  return items;
}

net::Task<SourceListing> ImapSource::list() {
  ImapListed listed;
  listed.namespaces = namespaces_;
  const bool extended = has_list_extended();
  const std::string options = extended ? has("SPECIAL-USE") ? "SUBSCRIBED SPECIAL-USE" : "SUBSCRIBED" : "";
  auto found = co_await client_->list("", "*", options, traits_.state_is_cheap ? status_items() : "");
  if (!found) co_return failed(found.error());
  listed.mailboxes = std::move(found->mailboxes);
  listed.status = std::move(found->status);
  // Subscriptions to what does not exist are in no LIST without a selection option (RFC 5258 §3.4).
  auto subscribed = co_await client_->lsub("", "*");
  if (!subscribed && (subscribed.error().fault == Fault::closed || !extended)) co_return failed(subscribed.error());
  if (subscribed) listed.subscribed = std::move(*subscribed);
  auto listing = make_listing(names_, listed);
  RELAIS_CO_TRY_VOID(co_await ask_states(listing.mailboxes));
  co_return listing;
}

// STATUS for those that no LIST has told about: all of them on old servers, all at once.
net::Task<void> ImapSource::ask_states(std::vector<SourceMailbox>& mailboxes) {
  std::vector<std::string> texts;
  std::vector<SourceMailbox*> asked;
  for (auto& mailbox : mailboxes) {
    if (!mailbox.selectable || mailbox.state.uid_validity != 0) continue;
    imap::ClientCommand status(imap::ClientCommand::Literals::plus);
    status.text("STATUS ").string(mailbox.wire).text(" (" + status_items() + ")");
    const bool pipelined = !status.pieces().front().contains("+}\r\n") || has("LITERAL+");
    if (!pipelined) {
      auto told = co_await client_->status(mailbox.wire, status_items());
      if (!told && told.error().fault == Fault::closed) co_return failed(told.error());
      if (told) {
        mailbox.state = cursor_of(*told);
      } else {
        mailbox.problem = told.error().detail.empty() ? told.error().text : told.error().detail;
      }
      continue;
    }
    texts.push_back(status.pieces().front());
    asked.push_back(&mailbox);
  }
  const auto take = [&asked](std::size_t i, const Response& response) {
    if (response.kind != Kind::status) return;
    asked[i]->state = cursor_of(response.as<imap::MailboxStatus>());
  };
  auto replies = co_await client_->pipeline(std::move(texts), [&take](std::size_t i, Response response) -> net::Task<void> {
    take(i, response);
    return [](Result<void> done) -> net::Task<void> { co_return done; }({});
  });
  if (!replies) co_return failed(replies.error());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if ((*replies)[i].status != imap::ClientReply::Status::ok) asked[i]->problem = imap::error_of("STATUS", (*replies)[i]).detail;
  }
  for (auto* mailbox : asked) {
    if (mailbox->state.uid_validity == 0 && mailbox->problem.empty()) mailbox->problem = "the server tells no state of it";
  }
  co_return Result<void>{};
}

net::Task<imap::ClientMailbox> ImapSource::examine(std::string wire, std::optional<imap::ClientSelect::Qresync> qresync) {
  imap::ClientSelect what{.wire_name = wire, .examine = true, .condstore = traits_.mod_seqs && !traits_.vanished};
  what.qresync = std::move(qresync);
  selected_.clear();
  const auto garbled = client_->garbled();
  auto found = co_await client_->select(std::move(what));
  if (!found) {
    auto error = std::move(found).error();
    if (error.fault == Fault::refused && (error.code.empty() || error.code == "TRYCREATE")) error.code = "NONEXISTENT";
    co_return failed(std::move(error));
  }
  if (client_->garbled() != garbled) co_return fail(Fault::corrupt, "the server's answer to EXAMINE makes no sense", "", wire);
  if (found->uid_validity == 0) co_return fail(Fault::corrupt, "the server tells no UIDVALIDITY", "", wire);
  selected_ = std::move(wire);
  selected_validity_ = found->uid_validity;
  co_return std::move(*found);
}

net::Task<void> ImapSource::enter(const SourceMailbox& mailbox) {
  if (selected_ != mailbox.wire) RELAIS_CO_TRY_VOID(co_await examine(mailbox.wire, std::nullopt));
  if (mailbox.state.uid_validity != 0 && selected_validity_ != mailbox.state.uid_validity) {
    co_return fail(Fault::refused, "the mailbox has another UIDVALIDITY", "UIDVALIDITY", mailbox.wire);
  }
  co_return Result<void>{};
}

net::Task<std::vector<SourceMessage>> ImapSource::fetch_all(std::string set, std::string items, std::string modifiers) {
  MessageList list;
  const auto garbled = client_->garbled();
  auto fetched = co_await client_->fetch(true, std::move(set), std::move(items), std::move(modifiers), list);
  if (!fetched) co_return failed(fetched.error());
  if (client_->garbled() != garbled) co_return fail(Fault::corrupt, "the server's answers to FETCH make no sense", "", selected_);
  co_return list.take_all();
}

// What is missing in the answer would be taken for expunged: so where it is shorter than EXISTS, the server is asked a second way.
net::Task<std::vector<SourceMessage>> ImapSource::complete(std::uint32_t exists, std::string items) {
  if (exists == 0) co_return std::vector<SourceMessage>{};  // "1:*" is no sequence of an empty mailbox (some say BAD)
  RELAIS_CO_TRY(auto found, co_await fetch_all("1:*", std::move(items), ""));
  if (found.size() >= exists) co_return found;
  auto there = co_await client_->uid_search("ALL");
  if (!there) co_return failed(there.error());
  for (const auto& message : found) there->remove(message.uid);
  if (!there->empty()) {
    co_return fail(Fault::corrupt, "the server does not tell of all messages", "", selected_ + ": " + there->to_string().substr(0, 200));
  }
  co_return found;
}

// With CONDSTORE alone nothing tells of expunges (RFC 7162 §3.1.2) but the number of messages; with QRESYNC it should never differ.
net::Task<void> ImapSource::reconcile(SourceChanges& out, const NumberSet& known) {
  NumberSet expected = known;
  expected.remove(out.vanished);
  NumberSet told;
  for (const auto& message : out.changed) told.add(message.uid);
  expected.add(told);
  if (expected.count() == out.state.messages) co_return Result<void>{};
  auto there = co_await client_->uid_search("ALL");
  if (!there) co_return failed(there.error());
  auto untold = *there;
  untold.remove(known);
  untold.remove(told);
  out.all = std::move(*there);
  for (const auto& set : imap::set_texts(untold)) {
    RELAIS_CO_TRY(auto found, co_await fetch_all(set, "(UID FLAGS MODSEQ)", ""));
    out.changed.insert(out.changed.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  sort_messages(out.changed);
  co_return Result<void>{};
}

net::Task<SourceChanges> ImapSource::changes(const SourceMailbox& mailbox, Cursor since, const NumberSet& known) {
  SourceChanges out;
  std::optional<imap::ClientSelect::Qresync> qresync;
  const bool by_mod_seq = since.uid_validity != 0 && since.highest_mod_seq != 0;
  // Without the known UIDs: with them the server tells of no others, new messages included (RFC 7162 §3.2.5.1).
  if (traits_.vanished && by_mod_seq) qresync = imap::ClientSelect::Qresync{since.uid_validity, since.highest_mod_seq, {}};
  RELAIS_CO_TRY(auto found, co_await examine(mailbox.wire, qresync));
  out.state = {found.uid_validity, found.uid_next, found.highest_mod_seq.value_or(0), found.exists};
  // Courier tells no UIDNEXT here; what STATUS told before is not newer than the changes.
  if (out.state.uid_next == 0 && mailbox.state.uid_validity == found.uid_validity) out.state.uid_next = mailbox.state.uid_next;
  const bool same = since.uid_validity == found.uid_validity;
  out.restarted = !same;
  const std::string mod_seq = found.highest_mod_seq ? " MODSEQ" : "";
  if (same && qresync && found.highest_mod_seq) {
    out.vanished = std::move(found.vanished);
    for (const auto& one : found.changed) {
      if (one.uid && one.flags) out.changed.push_back(message_of(one));
    }
    sort_messages(out.changed);
    RELAIS_CO_TRY_VOID(co_await reconcile(out, known));
  } else if (same && by_mod_seq && found.highest_mod_seq) {
    if (found.exists > 0 && *found.highest_mod_seq != since.highest_mod_seq) {
      RELAIS_CO_TRY(out.changed,
                    co_await fetch_all("1:*", "(UID FLAGS MODSEQ)", "(CHANGEDSINCE " + std::to_string(since.highest_mod_seq) + ")"));
    }
    RELAIS_CO_TRY_VOID(co_await reconcile(out, known));
  } else {
    RELAIS_CO_TRY(out.changed, co_await complete(found.exists, same ? "(UID FLAGS" + mod_seq + ")"
                                                                    : "(UID FLAGS RFC822.SIZE INTERNALDATE" + mod_seq + ")"));
    out.all.emplace();
    for (const auto& message : out.changed) out.all->add(message.uid);
  }
  co_return out;
}

net::Task<imap::ClientMailbox> ImapSource::examine_again(const SourceMailbox& mailbox) {
  RELAIS_CO_TRY(auto found, co_await examine(mailbox.wire, std::nullopt));
  if (mailbox.state.uid_validity != 0 && found.uid_validity != mailbox.state.uid_validity) {
    co_return fail(Fault::refused, "the mailbox has another UIDVALIDITY", "UIDVALIDITY", mailbox.wire);
  }
  co_return found;
}

net::Task<std::vector<SourceMessage>> ImapSource::everything(const SourceMailbox& mailbox) {
  RELAIS_CO_TRY(const auto found, co_await examine_again(mailbox));
  co_return co_await complete(found.exists, items_of_everything(found));
}

net::Task<std::vector<SourceMessage>> ImapSource::everything(const SourceMailbox& mailbox, NumberSet uids) {
  RELAIS_CO_TRY(const auto found, co_await examine_again(mailbox));
  std::vector<SourceMessage> out;
  if (found.exists == 0) co_return out;
  for (const auto& set : imap::set_texts(uids)) {
    RELAIS_CO_TRY(auto some, co_await fetch_all(set, items_of_everything(found), ""));
    out.insert(out.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  // Servers tell of what changes meanwhile, whatever was asked for.
  std::erase_if(out, [&uids](const SourceMessage& message) { return !uids.contains(message.uid); });
  sort_messages(out);
  co_return out;
}

// A FETCH that is refused is asked again in halves, down to the one message that the server cannot read.
net::Task<void> ImapSource::messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) {
  RELAIS_CO_TRY_VOID(co_await enter(mailbox));
  const std::string items =
      traits_.mod_seqs ? "(UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[])" : "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])";
  auto parts = in_batches(uids, limits_.batch);
  std::ranges::reverse(parts);
  while (!parts.empty()) {
    auto part = std::move(parts.back());
    parts.pop_back();
    MessageAssembler assembler(part, limits_.message_octets, receiver);
    auto fetched = co_await client_->uid_fetch(part, items, "", assembler);
    if (!fetched && (assembler.failed() || !is_of_a_message(fetched.error()))) co_return failed(fetched.error());
    part.remove(assembler.done());
    if (part.empty()) continue;
    if (!fetched && part.count() > 1) {
      auto halves = in_batches(part, static_cast<std::uint32_t>((part.count() + 1) / 2));
      std::ranges::reverse(halves);
      parts.insert(parts.end(), std::make_move_iterator(halves.begin()), std::make_move_iterator(halves.end()));
      continue;
    }
    auto there = co_await client_->uid_search("UID " + part.to_string());
    if (!there) co_return failed(there.error());
    for (const auto range : there->intersect(part).ranges()) {
      for (std::uint64_t uid = range.first; uid <= range.last; ++uid) {
        const Error why = fetched ? Error{Fault::corrupt, "", "the server's answer makes no sense"} : fetched.error();
        RELAIS_CO_TRY_VOID(co_await receiver.unreadable(static_cast<Uid>(uid), why));
      }
    }
  }
  co_return Result<void>{};
}

net::Task<void> ImapSource::ask(imap::ClientCommand command, std::function<void(const Response&)> told) {
  if (command.pieces().size() != 1 || !command.sendable()) co_return Result<void>{};
  auto replied = co_await client_->command(command.pieces().front(), [&told](Response response) -> net::Task<void> {
    told(response);
    return [](Result<void> done) -> net::Task<void> { co_return done; }({});
  });
  if (!replied) co_return failed(replied.error());
  co_return Result<void>{};  // NO: there is nothing to be had of it
}

// RFC 9208 §4.3.2
net::Task<void> ImapSource::fetch_quota(SourceExtras& extras) {
  imap::ClientCommand command(imap::ClientCommand::Literals::sync);
  command.text("GETQUOTAROOT ").string("INBOX");
  co_return co_await ask(std::move(command), [&extras](const Response& response) {
    if (response.kind != Kind::quota) return;
    const auto& quota = response.as<imap::QuotaResult>();
    for (const auto& resource : quota.resources) extras.quota.push_back({quota.root, resource.name, resource.usage, resource.limit});
  });
}

// acl-data = "ACL" SP mailbox *(SP identifier SP rights)                       RFC 4314 §7
net::Task<void> ImapSource::fetch_acl(const SourceMailbox& mailbox, SourceExtras& extras) {
  imap::ClientCommand command(has("LITERAL+") ? imap::ClientCommand::Literals::plus : imap::ClientCommand::Literals::sync);
  command.text("GETACL ").string(mailbox.wire);
  co_return co_await ask(std::move(command), [&](const Response& response) {
    if (response.kind != Kind::other) return;
    imap::ResponseReader in(response.as<std::string>(), 0);
    if (!in.accept_word("ACL")) return;
    in.spaces();
    in.astring();
    for (in.spaces(); in.ok() && !in.at_end(); in.spaces()) {
      auto identifier = in.astring();
      in.spaces();
      auto rights = in.astring();
      if (in.ok()) extras.acl.push_back({mailbox.name, "acl/" + identifier, std::move(rights)});
    }
  });
}

// entry-values = "(" entry-value *(SP entry-value) ")"                         RFC 5464 §5
net::Task<void> ImapSource::fetch_metadata(std::string wire, std::string name, SourceExtras& extras) {
  imap::ClientCommand command(has("LITERAL+") ? imap::ClientCommand::Literals::plus : imap::ClientCommand::Literals::sync);
  command.text("GETMETADATA (DEPTH infinity) ").string(wire).text(" (/private /shared)");
  co_return co_await ask(std::move(command), [&](const Response& response) {
    if (response.kind != Kind::other) return;
    imap::ResponseReader in(response.as<std::string>(), 0);
    if (!in.accept_word("METADATA")) return;
    in.spaces();
    in.astring();
    in.spaces();
    in.octet('(', "entries");
    for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) {
      auto entry = in.astring();
      in.spaces();
      auto value = in.octets();
      if (in.ok() && value) extras.metadata.push_back({name, std::move(entry), std::move(value->inlined)});
    }
  });
}

net::Task<SourceExtras> ImapSource::extras(const SourceListing& listing) {
  SourceExtras extras;
  if (has("QUOTA")) RELAIS_CO_TRY_VOID(co_await fetch_quota(extras));
  if (has("METADATA")) RELAIS_CO_TRY_VOID(co_await fetch_metadata("", "", extras));
  for (const auto& mailbox : listing.mailboxes) {
    if (!mailbox.selectable) continue;
    if (has("ACL")) RELAIS_CO_TRY_VOID(co_await fetch_acl(mailbox, extras));
    if (has("METADATA")) RELAIS_CO_TRY_VOID(co_await fetch_metadata(mailbox.wire, mailbox.name, extras));
  }
  co_return extras;
}

net::Task<void> ImapSource::wait(net::Deadline deadline) {
  if (has("IDLE") || has("IMAP4REV2")) {
    if (selected_ != "INBOX") RELAIS_CO_TRY_VOID(co_await examine("INBOX", std::nullopt));
    auto idled = co_await client_->idle(deadline);
    if (!idled) co_return failed(idled.error());
    co_return Result<void>{};
  }
  const auto left = deadline - std::chrono::steady_clock::now();
  if (left > left.zero()) {
    auto paused = co_await client_->connection().pause(std::chrono::ceil<std::chrono::milliseconds>(left));
    if (!paused) co_return failed(paused.error());
  }
  co_return Result<void>{};
}

}  // namespace

Result<imap::ClientLogin> master_login(const directory::LegacyPlatform& platform, std::string_view user) {
  using Way = directory::LegacyMaster::Way;
  const auto& master = platform.master;
  imap::ClientLogin login;
  login.password = master.password;
  switch (master.way) {
    case Way::none: return fail(Fault::refused, "the platform has no master user", "CANNOT");
    case Way::format: login.user = directory::expand_user(master.format, user, master.user); break;
    case Way::authzid:
    case Way::cyrus:
      login.way = imap::ClientLogin::Way::proxied;
      login.user = user;
      login.authenticate_as = master.user;
      break;
  }
  return login;
}

net::Task<std::unique_ptr<Source>> open_imap_source(std::unique_ptr<imap::Client> client, ImapSourceLimits limits) {
  auto source = std::make_unique<ImapSource>(std::move(client), limits);
  RELAIS_CO_TRY_VOID(co_await source->begin());
  co_return source;
}

net::Task<std::unique_ptr<Source>> open_imap_source(net::Loop& loop, imap::ClientOptions options, ImapSourceLimits limits) {
  auto client = co_await imap::Client::connect(loop, std::move(options));
  if (!client) co_return failed(client.error());
  co_return co_await open_imap_source(std::move(*client), limits);
}

}  // namespace relais::migrate
