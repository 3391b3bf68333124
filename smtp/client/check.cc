// Asking a host whether it would take mail for somebody: MAIL and RCPT, and nothing of a message.
#include "smtp/client/session.h"
#include "smtp/proto/client_command.h"

#include <vector>

namespace relais::smtp {
namespace {

struct Step {
  std::string command;
  Stage stage;
  std::chrono::milliseconds limit;
};

}  // namespace

net::asio::awaitable<Verdict> Client::Impl::check(std::string sender, std::string recipient, bool smtputf8) {
  // Something said without being asked: "421 idle too long", before the end of the connection.
  if (usable && (!connection->buffered().empty() || !parser.idle())) usable = false;
  if (!usable) co_return decided(Disposition::temporary, Scope::host, Stage::mail, "4.4.2", "the connection has ended");
  const auto& limits = options.timeouts;
  std::vector<Step> steps;
  if (needs_reset) steps.push_back({"RSET\r\n", Stage::local, limits.hello});
  steps.push_back({{}, Stage::mail, limits.mail});
  if (auto written = append_mail(steps.back().command, {.sender = sender, .smtputf8 = smtputf8}, offer); !written)
    co_return decided(Disposition::permanent, Scope::message, Stage::local, written.error().code, written.error().text);
  steps.push_back({{}, Stage::rcpt, limits.rcpt});
  if (auto written = append_rcpt(steps.back().command, {.recipient = recipient}, offer); !written)
    co_return decided(Disposition::permanent, Scope::recipient, Stage::local, written.error().code, written.error().text);
  steps.push_back({"RSET\r\n", Stage::local, limits.hello});

  ++transactions;
  needs_reset = true;
  std::optional<Verdict> verdict;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& step = steps[i];
    if (!offer.pipelining) {
      connection->queue(step.command);
    } else if (i == 0) {
      for (const auto& all : steps) connection->queue(all.command);  // RFC 2920 §3.1
    }
    if (auto sent = co_await flush(step.limit); !sent) {
      usable = false;
      co_return verdict ? *verdict : lost_at(step.stage, sent.error());
    }
    auto reply = co_await read_reply(step.limit);
    if (!reply) {
      usable = false;
      co_return verdict ? *verdict : lost_at(step.stage, reply.error());
    }
    if (reply->code == 421) usable = false;
    if (verdict || step.stage == Stage::local) continue;
    if (!reply->positive()) {
      const auto scope = reply->code == 421 ? Scope::host : step.stage == Stage::mail ? Scope::message : Scope::recipient;
      verdict = refused_by(step.stage, scope, std::move(*reply));
    } else if (step.stage == Stage::rcpt) {
      verdict = Verdict{.disposition = Disposition::delivered, .scope = Scope::recipient, .stage = Stage::rcpt, .reply = std::move(*reply), .status = "2.1.5"};
    }
    if (!usable) co_return *verdict;
  }
  needs_reset = false;
  if (offer.max_messages != 0 && transactions >= offer.max_messages) usable = false;  // RFC 9422
  co_return *verdict;
}

net::asio::awaitable<Verdict> Client::check(std::string sender, std::string recipient, bool smtputf8) {
  return impl_->check(std::move(sender), std::move(recipient), smtputf8);
}

}  // namespace relais::smtp
