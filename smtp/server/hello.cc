// HELO, EHLO, LHLO.
#include "smtp/proto/hello.h"

#include "smtp/proto/schedule.h"

#include "smtp/server/session.h"

namespace relais::smtp {

// RFC 5321 §4.1.4: a second hello is a reset. LMTP knows LHLO alone: RFC 2033 §4.1.
void Session::hello(std::string_view rest, bool extended) {
  auto args = parse_hello(rest);
  if (!args) return protocol_error(args.error());
  if (!args->well_formed) log_.event(log::Level::debug, "odd hello", {{"name", args->name}});
  state_ = kGreeted;
  reset_transaction();
  extended_ = extended;
  helo_ = std::move(args->name);
  const auto& options = context_.options;
  if (!extended) return reply(250, {}, options.hostname);
  std::vector<std::string_view> mechanisms;
  if (context_.policy.auth && !account_) {
    mechanisms = directory::sasl_mechanisms(context_.platform.directory, encrypted(), options.allow_plaintext_auth);
  }
  const auto extensions = mail_extensions();
  const auto max_hold = extensions.future_release ? static_cast<std::uint32_t>(options.max_hold.count()) : 0;
  const auto hold_until = max_hold != 0 ? format_date_time(context_.platform.clock.seconds() + max_hold) : std::string();
  append_offer(connection_->out(), {.hostname = options.hostname,
                                    .max_size = options.max_message_octets,
                                    .starttls = context_.tls != nullptr && !encrypted(),
                                    .auth_mechanisms = mechanisms,
                                    .max_messages = options.max_messages,
                                    .max_recipients = options.max_recipients,
                                    .dsn = extensions.dsn,
                                    .max_hold = max_hold,
                                    .max_hold_until = hold_until,
                                    .deliver_by = extensions.deliver_by,
                                    .mt_priority = extensions.priority,
                                    .require_tls = extensions.require_tls});
}

Session::Done Session::helo(std::string_view rest) {
  if (context_.policy.lmtp) {
    protocol_error(500, "5.5.1", "this is LMTP: say LHLO");
  } else {
    hello(rest, false);
  }
  co_return Result<void>{};
}

Session::Done Session::ehlo(std::string_view rest) {
  if (context_.policy.lmtp) {
    protocol_error(500, "5.5.1", "this is LMTP: say LHLO");
  } else {
    hello(rest, true);
  }
  co_return Result<void>{};
}

Session::Done Session::lhlo(std::string_view rest) {
  if (context_.policy.lmtp) {
    hello(rest, true);
  } else {
    protocol_error(500, "5.5.1", "this is not LMTP: say EHLO");
  }
  co_return Result<void>{};
}

}  // namespace relais::smtp
