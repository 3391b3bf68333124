// MAIL FROM.
#include "smtp/proto/mail.h"

#include "smtp/server/session.h"

#include <algorithm>

namespace relais::smtp {

// Which extensions this client was told of. Those that need the queue are not offered without one.
MailExtensions Session::mail_extensions() const {
  const bool queue = context_.platform.outgoing != nullptr;
  const bool submits = queue && context_.policy.require_auth;
  return {.esmtp = extended_,
          .auth = context_.policy.auth,
          .dsn = queue,
          .future_release = submits && context_.options.max_hold.count() > 0,
          .deliver_by = submits,
          .priority = submits,
          .require_tls = queue && encrypted()};
}

Session::Done Session::mail(std::string_view rest) {
  const auto& options = context_.options;
  if (context_.policy.require_auth && !account_) {
    protocol_error(530, "5.7.0", "authentication required");  // RFC 4954 §6
    co_return Result<void>{};
  }
  auto args = parse_mail(rest, mail_extensions());
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
  if (const auto bad = set_schedule(*args)) {
    reset_transaction();
    protocol_error(bad->code, bad->enhanced, bad->text);
    co_return Result<void>{};
  }
  transaction_.id = log_.id();
  transaction_.id += '-';
  transaction_.id += std::to_string(++transactions_);
  transaction_.sender = std::move(sender);
  if (const auto limited = count_message()) {
    reset_transaction();
    reply(*limited);
    co_return Result<void>{};
  }
  transaction_.body = args->body;
  transaction_.smtputf8 = args->smtputf8;
  transaction_.declared_size = args->size.value_or(0);
  transaction_.ret = args->ret;
  transaction_.envelope_id = std::move(args->envelope_id);
  transaction_.require_tls = args->require_tls;
  state_ = kMail;
  if (transaction_.priority == args->priority.value_or(0)) {
    reply(250, "2.1.0", "sender ok");
  } else {
    reply(250, "2.3.6", std::to_string(transaction_.priority) + " is the priority");  // RFC 6710 §4.1
  }
  co_return Result<void>{};
}

// Times and urgency: what the client asked for, as far as it may.
std::optional<Reply> Session::set_schedule(const MailArgs& args) {
  const auto now = context_.platform.clock.seconds();
  if (args.hold) {
    // RFC 4865 §4.2 (7), (8), (10), (11)
    const auto until = args.hold->until ? args.hold->seconds : now + args.hold->seconds;
    if (until - now > context_.options.max_hold.count()) return Reply{501, "5.5.4", "held for longer than was offered"};
    if (until > now) {
      transaction_.hold_until = until;
      transaction_.hold_request = args.hold->request;
    }
  }
  if (args.deliver_by) {
    // RFC 2852 §4: counted from here on.
    transaction_.deliver_by = now + args.deliver_by->seconds;
    transaction_.by_return = args.deliver_by->give_up;
    transaction_.by_trace = args.deliver_by->trace;
    if (transaction_.hold_until > transaction_.deliver_by) return Reply{501, "5.5.4", "held for longer than there is time to deliver"};  // RFC 4865 §5.2.2
  }
  // RFC 6710 §4.1: who may raise the priority is ours to say, anybody may lower it.
  if (args.priority) transaction_.priority = std::min(*args.priority, context_.options.max_priority);
  return std::nullopt;
}

// Takes the message from what the account may send; given back where it comes to nothing.
std::optional<Reply> Session::count_message() {
  auto* sending = context_.platform.outgoing != nullptr ? context_.platform.outgoing->sending : nullptr;
  if (!account_ || sending == nullptr) return std::nullopt;
  const auto verdict = sending->message(account_->number, account_->address);
  if (verdict.action == antispam::Action::accept) {
    transaction_.counted = true;
    return std::nullopt;
  }
  return over_limit(verdict, transaction_.sender);
}

std::optional<Reply> Session::count_recipient(const std::string& address) {
  if (!transaction_.counted) return std::nullopt;
  const auto verdict = context_.platform.outgoing->sending->recipient(account_->number, account_->address);
  if (verdict.action == antispam::Action::accept) {
    ++transaction_.counted_recipients;
    return std::nullopt;
  }
  return over_limit(verdict, address);
}

Reply Session::over_limit(const antispam::SendingVerdict& verdict, const std::string& address) {
  log_.event(log::Level::info, "limited", {{"id", transaction_.id}, {"user", account_->address}, {"limit", verdict.limit}});
  TraceEvent event{.id = transaction_.id, .kind = TraceKind::policy, .from = transaction_.sender};
  if (address != transaction_.sender) event.to.push_back(address);
  event.host = account_->address;
  event.reply = verdict.text;
  event.detail = "sending limit: " + std::string(verdict.limit);
  context_.platform.trace.add(std::move(event));
  return verdict.action == antispam::Action::defer ? Reply{450, verdict.status, verdict.text} : Reply{550, verdict.status, verdict.text};
}

void Session::give_back_counts() {
  if (!transaction_.counted) return;
  context_.platform.outgoing->sending->give_back(account_->number, 1, transaction_.counted_recipients);
  transaction_.counted = false;
}

}  // namespace relais::smtp
