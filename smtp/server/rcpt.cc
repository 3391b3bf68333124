// RCPT TO.
#include "smtp/proto/rcpt.h"

#include "message/address.h"
#include "smtp/server/session.h"

namespace relais::smtp {
namespace {

Reply try_later() { return {451, "4.3.0", "temporary failure, try again later"}; }

}  // namespace

Session::Done Session::rcpt(std::string_view rest) {
  const auto& options = context_.options;
  if (transaction_.recipients.size() >= options.max_recipients) {
    reply(452, "4.5.3", "too many recipients");  // RFC 5321 §4.5.3.1.10; before anything that costs
    co_return Result<void>{};
  }
  auto args = parse_rcpt(rest, transaction_.smtputf8, mail_extensions().dsn);
  if (!args) {
    protocol_error(args.error());
    co_return Result<void>{};
  }
  const auto& path = args->forward_path;
  AcceptedRecipient recipient;
  recipient.notify = args->notify;
  recipient.original = std::move(args->original);
  if (path.domain.empty()) {
    recipient.address = options.postmaster.empty() ? path.local_part : options.postmaster;  // RFC 5321 §4.5.1
  } else {
    recipient.address = message::to_string(path);
  }
  const auto text = recipient.address;
  auto answer = co_await add_recipient(std::move(recipient));
  if (!answer) co_return fail(std::move(answer).error());
  if (answer->positive()) {
    state_ = kRcpt;
  } else {
    recipient_refused(text, *answer);
  }
  reply(*answer);
  if (unknown_recipients_ >= options.max_unknown_recipients) close_with("4.7.0", "too many unknown recipients");
  co_return Result<void>{};
}

void Session::recipient_refused(const std::string& address, const Reply& answer) {
  log_.event(log::Level::info, "recipient refused", {{"id", transaction_.id}, {"from", transaction_.sender}, {"to", address}, {"code", answer.code},
                                                     {"status", answer.enhanced}, {"text", answer.text}});
  TraceEvent event{.id = transaction_.id, .kind = TraceKind::refused, .from = transaction_.sender};
  event.to.push_back(address);
  event.host = client_name();
  event.reply = reply_text(answer);
  context_.platform.trace.add(std::move(event));
}

// Would a delivery to this account be kept now?
net::Task<Reply> Session::check_account(const directory::Account& account) {
  auto& store = context_.platform.store;
  if (const auto writable = store.writable(account.placement.shard); !writable) co_return Reply{452, "4.3.1", "storage takes no mail now, try again later"};
  if (account.quota_octets == 0 && account.quota_messages == 0) co_return Reply{};
  const auto usage = co_await store.quota({storage::AccountId{account.number}, account.placement.shard});
  if (!usage) co_return try_later();
  const bool full = (account.quota_octets != 0 && usage->octets + transaction_.declared_size > account.quota_octets) ||
                    (account.quota_messages != 0 && usage->messages >= account.quota_messages);
  if (full) co_return Reply{452, "4.2.2", "mailbox full"};
  co_return Reply{};
}

net::Task<Reply> Session::add_recipient(AcceptedRecipient recipient) {
  using Kind = Whereabouts::Kind;
  const auto address = recipient.address;
  if (context_.policy.rate_limits) {
    const auto verdict = context_.platform.limits.recipient(log_.peer(), account_ ? account_->number : 0);
    if (verdict.action != antispam::Action::accept) {
      co_return verdict.action == antispam::Action::defer ? Reply{450, "4.7.1", verdict.text} : Reply{550, "5.7.1", verdict.text};
    }
  }
  auto found = co_await context_.routing.look_up(address);
  if (!found) {
    const auto& why = found.error();
    if (why.fault == Fault::refused) {
      ++unknown_recipients_;
      co_return Reply{550, "5.1.1", why.text};
    }
    log_.event(log::Level::warning, "directory unreadable", {{"to", address}, {"detail", why.detail}});
    co_return try_later();
  }
  switch (found->kind) {
    case Kind::unknown: ++unknown_recipients_; co_return Reply{550, "5.1.1", "no such mailbox"};
    case Kind::disabled: co_return Reply{550, "5.2.1", "mailbox disabled"};
    case Kind::foreign:
      if (!may_send_everywhere()) co_return Reply{550, "5.7.1", "relaying denied"};
      break;
    case Kind::known: break;
  }
  for (const auto& account : found->accounts) {
    RELAIS_CO_TRY(auto ready, co_await check_account(account));
    if (!ready.positive()) co_return ready;
  }
  // Half of an alias is not an answer: all of its targets or none.
  std::vector<OnwardTarget> onward;
  for (auto& way : found->onward) {
    OnwardTarget target{.why = way.why, .address = std::move(way.address), .destination = std::move(way.destination),
                        .sender = transaction_.sender, .account = std::move(way.account)};
    RELAIS_CO_TRY(auto taken, co_await check_onward(target, address));
    if (!taken.positive()) co_return taken;
    onward.push_back(std::move(target));
  }
  if (auto limited = count_recipient(address)) co_return std::move(*limited);
  keep_recipient(std::move(recipient), std::move(found->accounts), std::move(onward));
  co_return Reply{250, "2.1.5", "recipient ok"};
}

void Session::keep_recipient(AcceptedRecipient recipient, std::vector<directory::Account> accounts, std::vector<OnwardTarget> onward) {
  const auto position = static_cast<std::uint32_t>(transaction_.recipients.size());
  recipient.ways = static_cast<std::uint32_t>(accounts.size() + onward.size());
  recipient.first = static_cast<std::uint32_t>(transaction_.targets.size());
  for (auto& account : accounts) {
    const auto [owner, added] = transaction_.owner.try_emplace(account.number, position);
    if (!added) {
      if (owner->second != position) recipient.earlier.push_back(owner->second);
      continue;
    }
    transaction_.targets.push_back({.account = {storage::AccountId{account.number}, account.placement.shard},
                                    .login = std::move(account.address),
                                    .recipient = recipient.address,
                                    .notify = recipient.notify,
                                    .original = recipient.original});
  }
  recipient.last = static_cast<std::uint32_t>(transaction_.targets.size());
  for (auto& target : onward) {
    // A forward has a reverse-path and a trace field of its alias; what goes straight on is the same for whoever named it.
    auto key = target.why == Onward::Why::forward ? recipient.address + ">" + target.address : target.address;
    if (!transaction_.seen.insert(std::move(key)).second) continue;
    target.recipient = position;
    transaction_.onward.push_back(std::move(target));
  }
  transaction_.recipients.push_back(std::move(recipient));
}

// Can mail go on to there? @param given as in RCPT
net::Task<Reply> Session::check_onward(OnwardTarget& target, const std::string& given) {
  using Why = Onward::Why;
  const auto* outgoing = context_.platform.outgoing;
  if (outgoing == nullptr) {
    if (target.why == Why::legacy || target.why == Why::moving) co_return Reply{451, "4.3.0", "mailbox is being moved, try again later"};
    co_return Reply{550, "5.7.1", "this server does not send mail to other domains"};
  }
  if (const auto writable = outgoing->intake.writable(); !writable) co_return Reply{452, "4.3.1", "storage takes no mail now, try again later"};
  if (target.why == Why::forward || (target.why == Why::bounce && !transaction_.sender.empty())) {
    auto sender = co_await context_.routing.forward_sender(transaction_.sender, given);
    if (!sender && sender.error().fault != Fault::refused && sender.error().fault != Fault::syntax) co_return try_later();
    if (!sender) co_return Reply{550, "5.1.7", "mail from this sender cannot be forwarded"};
    target.sender = std::move(*sender);
  }
  if (target.why == Why::legacy || target.why == Why::relay) co_return co_await ask_relay(target);
  if (target.why == Why::remote && account_) co_return co_await check_domain(target.destination);
  co_return Reply{};
}

}  // namespace relais::smtp
