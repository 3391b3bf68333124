// The delivery agent's way out: bounces, and copies for accounts that are elsewhere by now.
#include "base/log.h"
#include "message/delivery_status.h"
#include "message/header.h"
#include "smtp/outbound/destination.h"
#include "smtp/server/delivery_state.h"
#include "smtp/server/outgoing.h"
#include "storage/model/prepared.h"

namespace relais::smtp {
namespace {

std::string_view status_of(const Error& why) {
  if (why.code == "OVERQUOTA") return "5.2.2";
  if (why.code == "5.1.1") return "5.1.1";
  return may_pass(why) ? "5.4.7" : "5.3.0";
}

}  // namespace

// Accounts whose mailboxes are here; empty where the sender is none of ours, or lives elsewhere.
net::Task<std::vector<storage::AccountRef>> Delivery::Impl::sender_accounts(const std::string& sender) {
  std::vector<storage::AccountRef> refs;
  if (sender.empty()) co_return refs;
  RELAIS_CO_TRY(const auto who, co_await directory.resolve(sender));
  if (who.kind != directory::Recipient::Kind::accounts || !who.remote.empty()) co_return refs;
  for (const auto& account : who.accounts) {
    if (account.placement.kind != directory::Placement::Kind::shard) {
      if (parts.intake != nullptr) co_return std::vector<storage::AccountRef>{};
      co_return fail(Fault::temporary, "the sender's account is being moved");
    }
    refs.push_back({storage::AccountId{account.number}, account.placement.shard});
  }
  co_return refs;
}

net::Task<void> Delivery::Impl::hand_over(const StoredIntent& stored, std::size_t index, const directory::Account& account, storage::PreparedPtr message) {
  if (parts.intake == nullptr) co_return fail(Fault::temporary, "the account is being moved");
  const auto& intent = stored.intent;
  const auto& target = intent.targets[index];
  const bool legacy = account.placement.kind == directory::Placement::Kind::legacy;
  const Destination where{legacy ? Destination::Kind::legacy : Destination::Kind::account, legacy ? account.placement.legacy : std::to_string(account.number)};
  queue::NewMessage copy;
  copy.trace_id = intent.id + "-m" + std::to_string(index);
  copy.parent = intent.id;
  copy.sender = intent.sender;
  copy.recipients.push_back({.address = account.address, .given = target.recipient, .original = target.original, .notify = target.notify, .destination = to_string(where)});
  copy.content = storage::make_blob(intent.trace, message->chunks());
  copy.eight_bit = true;
  copy.smtputf8 = intent.smtputf8;
  copy.ret = intent.ret;
  copy.envelope_id = intent.envelope_id;
  copy.arrival = intent.accepted;
  copy.client = "here";
  TraceEvent born{.id = copy.trace_id, .kind = TraceKind::received, .from = intent.sender};
  born.to.push_back(account.address);
  born.parent = intent.id;
  born.host = "here";
  born.detail = "the account has been moved meanwhile";
  parts.trace.add(std::move(born));
  std::vector<queue::NewMessage> copies;
  copies.push_back(std::move(copy));
  co_return co_await parts.intake->accept(std::move(copies));
}

net::Task<bool> Delivery::Impl::bounce(const StoredIntent& stored, std::size_t index, std::string_view content, const Error& why) {
  const auto& intent = stored.intent;
  const auto& target = intent.targets[index];
  const auto status = status_of(why);
  TraceEvent event{.id = intent.id, .kind = TraceKind::bounced, .from = intent.sender};
  event.to.push_back(target.recipient);
  event.reply = std::string(status) + " " + why.text;
  const auto stranded = [&](std::string_view reason) {
    log::event(log::Level::error, "mail undeliverable and nobody to tell",
               {{"id", intent.id}, {"from", intent.sender}, {"to", target.recipient}, {"why", why.text}, {"reason", reason}});
    event.kind = TraceKind::held;
    event.detail = reason;
    parts.trace.add(std::move(event));
    return false;
  };
  if (!target.notify.failure()) {
    // RFC 3461 §4.1: the sender does not want to know.
    event.detail = "nobody is told: NOTIFY=" + to_string(target.notify);
    parts.trace.add(std::move(event));
    co_return true;
  }
  if (intent.sender.empty()) co_return stranded("null sender");
  RELAIS_CO_TRY(const auto accounts, co_await sender_accounts(intent.sender));
  std::string destination;
  if (accounts.empty()) {
    if (parts.intake == nullptr) co_return stranded("the sender is not ours");
    auto way = co_await parts.router->destination(intent.sender);
    if (!way && way.error().fault == Fault::refused) co_return stranded("no way to the sender: " + way.error().text);
    if (!way) co_return fail(std::move(way).error());
    destination = std::move(*way);
  }
  message::Report report;
  report.hostname = options.hostname;
  report.report_id = bounce_once(intent.id, index);
  report.id = intent.id;
  report.sender = intent.sender;
  report.envelope_id = intent.envelope_id;
  report.smtputf8 = intent.smtputf8;
  report.return_full = intent.ret == Ret::full;
  report.arrived = intent.accepted;
  report.now = clock.seconds();
  message::ReportedRecipient told;
  told.recipient = target.recipient;
  told.original_type = target.original.type;
  told.original = target.original.address;
  told.status = status;
  told.reason = why.text;
  told.last_attempt = report.now;
  report.recipients.push_back(std::move(told));
  const auto built = message::build_report(report, content.substr(stored.message_offset));
  if (accounts.empty()) {
    RELAIS_CO_TRY_VOID(co_await bounce_by_queue(stored, index, built, std::move(destination)));
  } else {
    const auto done = co_await bounce_locally(stored, index, built.message, accounts);
    if (!done && done.error().fault == Fault::refused) co_return stranded(done.error().text);
    if (!done) co_return fail(done.error());
  }
  bounces.add();
  log::event(log::Level::info, "bounced", {{"id", intent.id}, {"from", intent.sender}, {"to", target.recipient}, {"status", status}, {"reason", why.text}});
  parts.trace.add(event);
  TraceEvent notice{.id = intent.id, .kind = TraceKind::notice, .detail = "failed, as " + report.report_id};
  notice.to.push_back(intent.sender);
  parts.trace.add(std::move(notice));
  co_return true;
}

net::Task<void> Delivery::Impl::bounce_locally(const StoredIntent& stored, std::size_t index, const std::string& text,
                                               const std::vector<storage::AccountRef>& accounts) {
  const auto& intent = stored.intent;
  const auto once = bounce_once(intent.id, index);
  RELAIS_CO_TRY(const auto prepared, co_await store.prepare(text));
  TraceEvent born{.id = once, .kind = TraceKind::received};
  born.to.push_back(intent.sender);
  born.parent = intent.id;
  born.host = "here";
  born.size = text.size();
  parts.trace.add(std::move(born));
  for (const auto& account : accounts) {
    std::vector<storage::AppendMessage> copies;
    copies.push_back(copy_for({}, intent.sender, {}, prepared));
    auto done = co_await store.append(account, "INBOX", std::move(copies), true, once);
    if (!done) co_return fail(std::move(done).error());
    trace_delivered(once, intent.sender, account, *done);
  }
  co_return Result<void>{};
}

net::Task<void> Delivery::Impl::bounce_by_queue(const StoredIntent& stored, std::size_t index, const message::BuiltReport& report, std::string destination) {
  const auto& intent = stored.intent;
  queue::NewMessage notice;
  notice.trace_id = bounce_once(intent.id, index);
  notice.parent = intent.id;
  notice.recipients.push_back({.address = intent.sender, .destination = std::move(destination)});
  notice.content = storage::make_blob({}, storage::encode_chunks(report.message));
  notice.eight_bit = report.eight_bit;
  notice.smtputf8 = report.smtputf8;
  notice.arrival = clock.seconds();
  notice.client = "here";
  notice.message_id = "<" + notice.trace_id + "@" + options.hostname + ">";
  notice.report = true;
  std::vector<queue::NewMessage> notices;
  notices.push_back(std::move(notice));
  co_return co_await parts.intake->accept(std::move(notices));
}

}  // namespace relais::smtp
