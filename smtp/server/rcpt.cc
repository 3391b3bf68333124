// RCPT TO.
#include "smtp/proto/rcpt.h"

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
  auto args = parse_rcpt(rest, transaction_.smtputf8);
  if (!args) {
    protocol_error(args.error());
    co_return Result<void>{};
  }
  auto& address = args->forward_path;
  std::string text;
  if (address.domain.empty()) {
    text = options.postmaster.empty() ? address.local_part : options.postmaster;  // RFC 5321 §4.5.1
  } else {
    text = message::to_string(address);
  }
  auto answer = co_await add_recipient(text);
  if (!answer) co_return fail(std::move(answer).error());
  if (answer->positive()) {
    state_ = kRcpt;
  } else {
    log_.event(log::Level::info, "recipient refused", {{"id", transaction_.id}, {"from", transaction_.sender}, {"to", text}, {"code", answer->code},
                                                       {"status", answer->enhanced}, {"text", answer->text}});
  }
  reply(*answer);
  if (unknown_recipients_ >= options.max_unknown_recipients) close_with("4.7.0", "too many unknown recipients");
  co_return Result<void>{};
}

// Would a delivery to this account be kept now?
Result<void> Session::check_account(const directory::Account& account) const {
  // Fail closed: a moved account's mail must not be stored at its old place.
  if (account.placement.kind != directory::Placement::Kind::shard) return fail(Fault::temporary, "mailbox is being moved, try again later", "4.3.0");
  if (const auto writable = context_.platform.store.writable(account.placement.shard); !writable) {
    return fail(Fault::temporary, "storage takes no mail now, try again later", "452 4.3.1", writable.error().detail);
  }
  return {};
}

net::Task<Reply> Session::add_recipient(std::string address) {
  using Kind = directory::Recipient::Kind;
  const auto& policy = context_.policy;
  if (policy.rate_limits) {
    const auto verdict = context_.platform.limits.recipient(log_.peer(), account_ ? account_->number : 0);
    if (verdict.action != antispam::Action::accept) {
      co_return verdict.action == antispam::Action::defer ? Reply{450, "4.7.1", verdict.text} : Reply{550, "5.7.1", verdict.text};
    }
  }
  auto found = co_await context_.platform.directory.resolve(address);
  if (!found) {
    if (found.error().fault == Fault::refused) co_return Reply{550, "5.1.1", "no such mailbox"};
    log_.event(log::Level::warning, "directory unreadable", {{"to", address}, {"detail", found.error().detail}});
    co_return try_later();
  }
  switch (found->kind) {
    case Kind::unknown: ++unknown_recipients_; co_return Reply{550, "5.1.1", "no such mailbox"};
    case Kind::disabled: co_return Reply{550, "5.2.1", "mailbox disabled"};
    case Kind::not_local:
      co_return account_ ? Reply{550, "5.7.1", "this server does not send mail to other domains yet"} : Reply{550, "5.7.1", "relaying denied"};
    case Kind::accounts: break;
  }
  // Half of an alias is not an answer: all of its targets or none.
  if (!found->remote.empty()) co_return Reply{550, "5.7.1", "this address leads to other domains, to which this server does not send mail yet"};
  for (const auto& account : found->accounts) {
    if (const auto ready = check_account(account); !ready) co_return reply_for(ready.error());
    if (account.quota_octets == 0 && account.quota_messages == 0) continue;
    const auto usage = co_await context_.platform.store.quota({storage::AccountId{account.number}, account.placement.shard});
    if (!usage) co_return try_later();
    const bool full = (account.quota_octets != 0 && usage->octets + transaction_.declared_size > account.quota_octets) ||
                      (account.quota_messages != 0 && usage->messages >= account.quota_messages);
    if (full) co_return Reply{452, "4.2.2", "mailbox full"};
  }

  AcceptedRecipient accepted;
  const auto position = static_cast<std::uint32_t>(transaction_.recipients.size());
  accepted.first = static_cast<std::uint32_t>(transaction_.targets.size());
  for (auto& account : found->accounts) {
    const auto [owner, added] = transaction_.owner.try_emplace(account.number, position);
    if (!added) {
      if (owner->second != position) accepted.earlier.push_back(owner->second);
      continue;
    }
    transaction_.targets.push_back({{storage::AccountId{account.number}, account.placement.shard}, std::move(account.address), address});
  }
  accepted.last = static_cast<std::uint32_t>(transaction_.targets.size());
  accepted.address = std::move(address);
  transaction_.recipients.push_back(std::move(accepted));
  co_return Reply{250, "2.1.5", "recipient ok"};
}

}  // namespace relais::smtp
