// Reading replies, and what they mean.
#include "smtp/client/session.h"

#include "base/ascii.h"

namespace relais::smtp {
namespace {

// 521: this host takes no mail at all (RFC 7504 §3). 556: neither does the domain (RFC 7505 §4.2, RFC 7504 §4).
bool never_takes_mail(const RemoteReply& reply) { return reply.code == 521 || reply.code == 556; }

}  // namespace

net::Task<RemoteReply> Client::Impl::read_reply(Milliseconds limit) {
  const auto deadline = net::in(limit);
  for (;;) {
    const auto step = parser.feed(connection->buffered());
    connection->consume(step.used);
    if (step.event == ReplyParser::Event::reply) co_return std::move(parser.reply());
    if (step.event == ReplyParser::Event::garbage) {
      connection->close();
      co_return fail(Fault::closed, parser.error(), "garbage");
    }
    RELAIS_CO_TRY_VOID(co_await connection->fill(deadline, net::Awaiting::data));
  }
}

net::Task<void> Client::Impl::flush(Milliseconds limit) { return connection->flush(net::in(limit)); }

net::Task<RemoteReply> Client::Impl::exchange(Milliseconds limit) {
  RELAIS_CO_TRY_VOID(co_await flush(limit));
  co_return co_await read_reply(limit);
}

std::string status_for(Disposition disposition, std::string_view enhanced) {
  const char digit = disposition == Disposition::delivered ? '2' : disposition == Disposition::permanent ? '5' : '4';
  if (enhanced.size() < 5) return std::string(1, digit) + ".0.0";
  std::string status(enhanced);
  status[0] = digit;
  return status;
}

Verdict refused_by(Stage stage, Scope scope, RemoteReply reply) {
  Verdict verdict;
  verdict.stage = stage;
  verdict.scope = reply.code == 421 ? Scope::host : scope;  // RFC 5321 §3.8: it will close
  // Before MAIL a 5xx is about us and this moment: block lists, limits, wrong passwords. The mail is kept, other hosts may take it.
  const bool permanent = scope == Scope::host ? never_takes_mail(reply) : reply.permanent();
  verdict.disposition = permanent ? Disposition::permanent : Disposition::temporary;
  verdict.status = status_for(verdict.disposition, reply.enhanced);
  if (!reply.temporary() && !reply.permanent()) {
    verdict.status = "4.5.0";
    verdict.text = "unexpected reply";
  }
  verdict.reply = std::move(reply);
  return verdict;
}

Verdict lost_at(Stage stage, const Error& error) {
  Verdict verdict;
  verdict.scope = Scope::host;
  verdict.stage = stage;
  verdict.status = "4.4.2";
  const auto step = std::string(to_string(stage));
  if (error.code == "timeout") {
    verdict.text = stage == Stage::greeting ? "timeout while waiting for the greeting" : "timeout while waiting for the reply to " + step;
  } else if (error.code == "garbage") {
    verdict.status = "4.5.0";
    verdict.text = (stage == Stage::greeting ? "bad greeting: " : "bad reply to " + step + ": ") + error.text;
  } else {
    verdict.text = (stage == Stage::greeting ? "connection lost while waiting for the greeting"
                                             : "connection lost while waiting for the reply to " + step);
    if (!error.detail.empty()) verdict.text += " (" + error.detail + ")";
  }
  return verdict;
}

Verdict decided(Disposition disposition, Scope scope, Stage stage, std::string_view status, std::string text) {
  Verdict verdict;
  verdict.disposition = disposition;
  verdict.scope = scope;
  verdict.stage = stage;
  verdict.status = status;
  verdict.text = std::move(text);
  return verdict;
}

}  // namespace relais::smtp
