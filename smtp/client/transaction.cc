// MAIL, RCPT and the content of one message.
#include "smtp/client/transaction.h"

#include "base/check.h"
#include "smtp/proto/client_command.h"
#include "smtp/proto/dot_stuffing.h"

#include <algorithm>
#include <array>

namespace relais::smtp {
namespace {

// RFC 5321 §4.5.3.1.10: "452 too many recipients", in old servers 552. With another enhanced code they mean something else (4.2.2: mailbox
// full).
bool is_too_many(const RemoteReply& reply) {
  return (reply.code == 452 && (reply.enhanced.empty() || reply.enhanced == "4.5.3")) || (reply.code == 552 && reply.enhanced == "5.5.3");
}

// RFC 2852 §4.1.4.2: where BY can't be passed on, the delay that it would tell of is asked for by NOTIFY.
Notify notify_for(const OutboundMessage& message, const OutboundRecipient& recipient, const RemoteOffer& offer) {
  auto notify = recipient.notify;
  if (!message.deliver_by || offer.deliver_by || message.deliver_by->seconds <= 0 || notify.never()) return notify;
  notify.bits |= notify.given() ? Notify::kDelay : Notify::kFailure | Notify::kDelay;
  return notify;
}

}  // namespace

Transaction::Transaction(Client::Impl& session, const OutboundMessage& message, Cargo cargo, std::span<const std::uint32_t> recipients,
                         Outcome& outcome)
    : session_(session), message_(message), cargo_(cargo), recipients_(recipients), outcome_(outcome), decided_(recipients.size()) {}

void Transaction::decide_rest(const Verdict& verdict) {
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    if (decided_[i]) continue;
    decided_[i] = true;
    outcome_.recipients[recipients_[i]] = verdict;
  }
}

void Transaction::decide_accepted(const Verdict& verdict) {
  for (const auto at : accepted_) {
    if (decided_[at]) continue;
    decided_[at] = true;
    outcome_.recipients[recipients_[at]] = verdict;
  }
}

void Transaction::lose(Verdict verdict) {
  lost_ = true;
  session_.usable = false;
  session_.gone = true;
  outcome_.host_trouble = true;
  decide_rest(verdict);
}

void Transaction::lose_sending(const Error& error) {
  if (error.fault != Fault::closed) {  // our own storage: the host sees a message that does not end
    session_.connection->close();
    lost_ = true;
    session_.usable = false;
    session_.gone = true;
    return decide_rest(decided(Disposition::temporary, Scope::message, Stage::local, "4.3.0", "the message cannot be read now"));
  }
  auto verdict = lost_at(Stage::content, error);
  verdict.text = error.code == "timeout" ? "timeout while sending the message" : "connection lost while sending the message";
  if (!error.detail.empty()) verdict.text += " (" + error.detail + ")";
  lose(std::move(verdict));
}

void Transaction::queue_mail() {
  auto& out = session_.connection->out();
  if (session_.needs_reset) {
    out += "RSET\r\n";
    reset_sent_ = true;
  }
  MailCommand mail;
  mail.sender = message_.sender;
  mail.size = cargo_.content->size();
  mail.body = cargo_.body;
  mail.smtputf8 = cargo_.smtputf8;
  mail.require_tls = message_.require_tls;
  mail.ret = message_.ret;
  mail.envelope_id = message_.envelope_id;
  mail.deliver_by = message_.deliver_by;
  mail.priority = message_.priority;
  RELAIS_CHECK(append_mail(out, mail, session_.offer));
  ++session_.transactions;
}

// RCPT commands for `count` recipients, and DATA behind the last of all where that may be pipelined (RFC 2920 §3.1).
void Transaction::queue_window(std::size_t first, std::size_t count) {
  const auto& offer = session_.offer;
  for (const auto recipient : recipients_.subspan(first, count)) {
    const auto& to = message_.recipients[recipient];
    RELAIS_CHECK(append_rcpt(session_.connection->out(), {to.address, notify_for(message_, to, offer), &to.original}, offer));
  }
  if (offer.pipelining && first + count == recipients_.size() && !chunking()) {
    session_.connection->queue("DATA\r\n");
    data_sent_ = true;
  }
}

// A connection that was used before and is gone by now tells nothing of the host, nor of the message: RFC 5321 §4.5.3.2.7 lets servers go.
void Transaction::lose_opening(const Error& error) {
  const bool gone = error.code.empty() && session_.transactions > 1;
  lose(lost_at(Stage::mail, error));
  outcome_.stale = gone;
  outcome_.host_trouble = !gone;
}

// 421, to MAIL or what comes with it: 4.4.2 says that the connection was idle for too long (RFC 3463 §3.5).
void Transaction::lose_opening(RemoteReply reply) {
  const bool gone = reply.enhanced == "4.4.2" && session_.transactions > 1;
  lose(refused_by(Stage::mail, Scope::host, std::move(reply)));
  outcome_.stale = gone;
  outcome_.host_trouble = !gone;
}

// The replies to RSET and MAIL. False where there is no transaction.
net::asio::awaitable<bool> Transaction::read_opening() {
  auto reply = co_await session_.read_reply(session_.options.timeouts.mail);
  if (reset_sent_ && reply && reply->code != 421) {
    session_.needs_reset = false;  // a refusal of RSET shows in the reply to MAIL
    reply = co_await session_.read_reply(session_.options.timeouts.mail);
  }
  if (!reply) {
    lose_opening(reply.error());
  } else if (reply->code == 421) {
    lose_opening(std::move(*reply));
  } else if (reply->positive()) {
    mail_accepted_ = true;
    session_.needs_reset = true;  // until the transaction's end
  } else {
    decide_rest(refused_by(Stage::mail, Scope::message, std::move(*reply)));
  }
  co_return mail_accepted_;
}

void Transaction::take_rcpt(std::uint32_t at, RemoteReply reply) {
  const auto recipient = recipients_[at];
  if (reply.positive()) {  // 250, 251 (it forwards), 252 (it will try)
    accepted_.push_back(at);
    return;
  }
  decided_[at] = true;
  const bool too_many = is_too_many(reply);
  auto verdict = refused_by(Stage::rcpt, Scope::recipient, std::move(reply));
  if (too_many) {
    verdict.disposition = Disposition::temporary;
    verdict.status = "4.5.3";
    if (!accepted_.empty()) postponed_.push_back(recipient);
  }
  outcome_.recipients[recipient] = std::move(verdict);
}

// The replies to a window of RCPT commands. Those that follow a refused MAIL mean nothing.
net::asio::awaitable<void> Transaction::read_window(std::size_t first, std::size_t count) {
  for (auto i = first; i < first + count; ++i) {
    auto reply = co_await session_.read_reply(session_.options.timeouts.rcpt);
    if (!reply) co_return lose(lost_at(Stage::rcpt, reply.error()));
    if (reply->code == 421) co_return lose(refused_by(Stage::rcpt, Scope::host, std::move(*reply)));
    if (mail_accepted_) take_rcpt(static_cast<std::uint32_t>(i), std::move(*reply));
  }
}

net::asio::awaitable<void> Transaction::envelope() {
  const auto& timeouts = session_.options.timeouts;
  const bool pipelining = session_.offer.pipelining;
  queue_mail();
  if (!pipelining) {
    if (auto sent = co_await session_.flush(timeouts.mail); !sent) co_return lose_opening(sent.error());
    if (!co_await read_opening()) co_return;
  }
  const auto window = pipelining ? kWindow : std::size_t{1};
  for (std::size_t first = 0; first < recipients_.size(); first += window) {
    const auto count = std::min(window, recipients_.size() - first);
    const bool opening = pipelining && first == 0;
    queue_window(first, count);
    auto sent = co_await session_.flush(timeouts.rcpt);
    if (!sent && opening) co_return lose_opening(sent.error());
    if (!sent) co_return lose(lost_at(Stage::rcpt, sent.error()));
    if (opening) co_await read_opening();
    if (!lost_) co_await read_window(first, count);
    if (lost_ || !mail_accepted_) co_return;
  }
}

// RFC 2920 §3.1: DATA was sent ahead, and there is nobody to deliver to. A server that says 354 all the same gets an empty message.
net::asio::awaitable<void> Transaction::end_empty_data() {
  auto& timeouts = session_.options.timeouts;
  auto reply = co_await session_.read_reply(timeouts.data);
  if (reply && reply->intermediate()) {
    session_.connection->queue(".\r\n");
    if (auto sent = co_await session_.flush(timeouts.data_block); !sent) co_return lose(lost_at(Stage::content, sent.error()));
    reply = co_await session_.read_reply(timeouts.data_end);
  }
  if (!reply || reply->code == 421) {  // all have their verdicts: it only ends the connection
    session_.usable = false;
    session_.gone = true;
    lost_ = true;
  }
}

net::Task<void> Transaction::send_stuffed() {
  DotStuffer stuffer;
  std::array<std::string_view, DotStuffer::kPieces + 1> pieces;
  const std::span<std::string_view, DotStuffer::kPieces> window(pieces.data(), DotStuffer::kPieces);
  auto& source = *cargo_.content;
  const auto size = source.size();
  std::uint64_t sent = 0;
  const auto limit = session_.options.timeouts.data_block;
  while (sent < size) {
    RELAIS_CO_TRY(auto piece, co_await source.next());
    if (piece.empty() || piece.size() > size - sent) co_return fail(Fault::corrupt, "the message is not as long as it should be");
    while (!piece.empty()) {
      const auto step = stuffer.feed(piece.substr(0, kBlock), window);
      piece.remove_prefix(step.used);
      sent += step.used;
      auto count = step.count;
      if (sent == size) pieces[count++] = stuffer.finish();
      RELAIS_CO_TRY_VOID(co_await session_.connection->write(std::span(pieces.data(), count), net::in(limit)));
    }
  }
  outcome_.octets += size;
  if (size != 0) co_return Result<void>{};
  session_.connection->queue(stuffer.finish());
  co_return co_await session_.flush(limit);
}

net::Task<void> Transaction::send_plain() {
  auto& source = *cargo_.content;
  const auto size = source.size();
  std::uint64_t sent = 0;
  const auto limit = session_.options.timeouts.data_block;
  append_bdat(session_.connection->out(), size, true);
  while (sent < size) {
    RELAIS_CO_TRY(auto piece, co_await source.next());
    if (piece.empty() || piece.size() > size - sent) co_return fail(Fault::corrupt, "the message is not as long as it should be");
    for (; !piece.empty(); piece.remove_prefix(std::min(piece.size(), kBlock))) {
      const auto block = piece.substr(0, kBlock);
      RELAIS_CO_TRY_VOID(co_await session_.connection->write(std::span(&block, 1), net::in(limit)));
      sent += block.size();
    }
  }
  outcome_.octets += size;
  if (size != 0) co_return Result<void>{};
  co_return co_await session_.flush(limit);
}

net::asio::awaitable<void> Transaction::by_data() {
  auto& timeouts = session_.options.timeouts;
  if (!data_sent_) {
    session_.connection->queue("DATA\r\n");
    if (auto sent = co_await session_.flush(timeouts.data); !sent) co_return lose(lost_at(Stage::data, sent.error()));
  }
  auto reply = co_await session_.read_reply(timeouts.data);
  if (!reply) co_return lose(lost_at(Stage::data, reply.error()));
  if (!reply->intermediate()) {
    auto verdict = refused_by(Stage::data, Scope::message, std::move(*reply));
    // A 2xx here leaves nobody knowing what the other side waits for.
    if (verdict.reply.code == 421 || verdict.reply.positive()) co_return lose(std::move(verdict));
    co_return decide_accepted(verdict);
  }
  if (auto sent = co_await send_stuffed(); !sent) co_return lose_sending(sent.error());
  co_await read_results();
}

net::asio::awaitable<void> Transaction::by_bdat() {
  if (auto sent = co_await send_plain(); !sent) co_return lose_sending(sent.error());
  co_await read_results();
}

// One reply for all; in LMTP one per recipient that was accepted, in that order (RFC 2033 §4.2, §4.3).
net::asio::awaitable<void> Transaction::read_results() {
  session_.needs_reset = false;
  const bool each = session_.options.lmtp;
  for (const auto at : accepted_) {
    auto reply = co_await session_.read_reply(session_.options.timeouts.data_end);
    if (!reply) {
      auto verdict = lost_at(Stage::content, reply.error());
      verdict.uncertain = true;
      verdict.text += "; the message may have been delivered";
      co_return lose(std::move(verdict));
    }
    Verdict verdict;
    if (reply->positive()) {
      verdict.disposition = Disposition::delivered;
      verdict.scope = each ? Scope::recipient : Scope::message;
      verdict.stage = Stage::content;
      verdict.status = status_for(Disposition::delivered, reply->enhanced);
      verdict.reply = std::move(*reply);
    } else {
      verdict = refused_by(Stage::content, each ? Scope::recipient : Scope::message, std::move(*reply));
      if (verdict.reply.code == 421) co_return lose(std::move(verdict));
      session_.needs_reset = true;  // RFC 3030 §2: after a failed BDAT the transaction is in no defined state; after DATA it does no harm
    }
    if (!each) co_return decide_accepted(verdict);
    decided_[at] = true;
    outcome_.recipients[recipients_[at]] = std::move(verdict);
  }
}

net::asio::awaitable<std::vector<std::uint32_t>> Transaction::run() {
  co_await envelope();
  if (lost_) co_return std::vector<std::uint32_t>{};
  if (accepted_.empty()) {
    if (data_sent_) co_await end_empty_data();
    co_return std::vector<std::uint32_t>{};
  }
  if (chunking())
    co_await by_bdat();
  else
    co_await by_data();
  if (lost_) postponed_.clear();
  co_return std::move(postponed_);
}

}  // namespace relais::smtp
