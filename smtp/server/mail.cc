// MAIL FROM.
#include "smtp/proto/mail.h"

#include "smtp/server/session.h"

namespace relais::smtp {

Session::Done Session::mail(std::string_view rest) {
  const auto& options = context_.options;
  if (context_.policy.require_auth && !account_) {
    protocol_error(530, "5.7.0", "authentication required");  // RFC 4954 §6
    co_return Result<void>{};
  }
  auto args = parse_mail(rest, {.esmtp = extended_, .auth = context_.policy.auth});
  if (!args) {
    protocol_error(args.error());
    co_return Result<void>{};
  }
  if (options.max_messages != 0 && transactions_ >= options.max_messages) {
    reply(452, "4.5.3", "too many messages in this session, open another");  // RFC 9422: MAILMAX
    co_return Result<void>{};
  }
  if (args->size && options.max_message_octets != 0 && *args->size > options.max_message_octets) {
    reply(552, "5.3.4", "message too large");  // RFC 1870 §6.1
    co_return Result<void>{};
  }
  if (context_.policy.rate_limits) {
    const auto verdict = context_.platform.limits.message(log_.peer(), account_ ? account_->number : 0);
    if (verdict.action != antispam::Action::accept) {
      log_.event(log::Level::info, "limited", {{"reason", verdict.reasons.empty() ? std::string_view{} : std::string_view(verdict.reasons.front())}});
      reply(verdict.action == antispam::Action::defer ? 450 : 550, verdict.action == antispam::Action::defer ? "4.7.1" : "5.7.1", verdict.text);
      co_return Result<void>{};
    }
  }
  auto sender = args->reverse_path ? message::to_string(*args->reverse_path) : std::string();
  if (account_ && !sender.empty()) {
    const auto allowed = co_await context_.platform.directory.may_send_as(account_->number, sender);
    if (!allowed || !*allowed) {
      log_.event(log::Level::info, "sender refused", {{"from", sender}, {"user", account_->address}});
      reply(allowed ? Reply{553, "5.7.1", "you may not send as this address"} : Reply{451, "4.3.0", "temporary failure, try again later"});
      co_return Result<void>{};
    }
  }
  reset_transaction();
  transaction_.id = log_.id();
  transaction_.id += '-';
  transaction_.id += std::to_string(++transactions_);
  transaction_.sender = std::move(sender);
  transaction_.body = args->body;
  transaction_.smtputf8 = args->smtputf8;
  transaction_.declared_size = args->size.value_or(0);
  state_ = kMail;
  reply(250, "2.1.0", "sender ok");
  co_return Result<void>{};
}

}  // namespace relais::smtp
