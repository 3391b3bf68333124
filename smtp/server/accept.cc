// A whole message: trace fields, loops, where it goes, the reply, the log.
#include "base/ascii.h"
#include "message/header.h"
#include "message/trace.h"
#include "smtp/server/gather.h"
#include "smtp/server/session.h"

#include <algorithm>
#include <unordered_map>

namespace relais::smtp {
namespace {

constexpr std::size_t kRecipientsAtOnce = 64;
constexpr std::size_t kMaxKeptMessageId = 998;  // octets: a line

/// What one walk over the header tells.
struct HeaderFacts {
  std::size_t received = 0;
  std::string message_id;
  bool tls_optional = false;
};

// Positions of recipients by address in lower case. Made when the first Delivered-To is met: nearly no message has one, and a header full
// of them must cost no memory of its own.
class Looping {
 public:
  explicit Looping(const std::vector<AcceptedRecipient>& recipients) : recipients_(recipients), flags_(recipients.size(), false) {}
  void delivered_to(std::string_view address) {
    if (positions_.empty()) {
      for (std::size_t i = 0; i < recipients_.size(); ++i) positions_[to_lower(recipients_[i].address)].push_back(i);
    }
    const auto found = positions_.find(to_lower(trim(address)));
    if (found == positions_.end()) return;
    for (const auto i : found->second) flags_[i] = true;
  }
  std::vector<bool> take() { return std::move(flags_); }

 private:
  const std::vector<AcceptedRecipient>& recipients_;
  std::unordered_map<std::string, std::vector<std::size_t>> positions_;
  std::vector<bool> flags_;
};

HeaderFacts read_header(std::string_view header, Looping& looping) {
  HeaderFacts facts;
  message::for_each_field(header, [&](const message::Field& field) {
    if (iequals(field.name, "received")) {
      ++facts.received;
    } else if (iequals(field.name, "message-id")) {
      if (facts.message_id.empty()) facts.message_id = message::unfold(field.value.substr(0, kMaxKeptMessageId));
    } else if (iequals(field.name, "delivered-to")) {
      looping.delivered_to(field.value);
    } else if (iequals(field.name, "tls-required")) {
      facts.tls_optional = iequals(trim(field.value), "no");  // RFC 8689 §5
    }
  });
  return facts;
}

// What a Store error is to the client.
Reply delivery_reply(const Error& error) {
  if (error.code == "OVERQUOTA") return {552, "5.2.2", "mailbox full"};
  if (error.code == "STORAGE_FULL") return {452, "4.3.1", "not enough storage, try again later"};
  if (error.fault == Fault::refused) return {550, "5.2.0", "the mailbox takes no mail"};
  return {451, "4.3.0", "temporary failure, try again later"};
}

Reply loop_reply() { return {554, "5.4.6", "mail loop"}; }

}  // namespace

// RFC 5321 §4.4.
std::string Session::trace_fields() const {
  const auto* tls = connection_->tls();
  message::Received received;
  received.helo = helo_;
  received.peer_address = log_.peer();
  received.by = context_.options.hostname;
  received.with = message::with_protocol(context_.policy.lmtp, extended_, transaction_.smtputf8, tls != nullptr, account_.has_value());
  received.id = transaction_.id;
  if (transaction_.recipients.size() == 1) received.recipient = transaction_.recipients.front().address;
  if (tls != nullptr) {
    received.tls_version = tls->version;
    received.tls_cipher = tls->cipher;
  }
  received.date = {context_.platform.clock.seconds(), 0};
  return message::received_field(received);
}

// Who handed it over, for people.
std::string Session::client_name() const {
  if (account_) return account_->address;
  return helo_.empty() ? "[" + log_.peer() + "]" : helo_ + " [" + log_.peer() + "]";
}

void Session::trace_received(const Arrival& arrival) {
  TraceEvent event{.id = transaction_.id, .kind = TraceKind::received, .from = transaction_.sender};
  for (const auto& recipient : transaction_.recipients) event.to.push_back(recipient.address);
  event.message_id = arrival.message_id;
  event.host = account_ ? account_->address + " [" + log_.peer() + "]" : client_name();
  event.detail = to_string(context_.options.service);
  event.size = received_;
  context_.platform.trace.add(std::move(event));
  if (!arrival.repairs.empty()) trace_policy(arrival.repairs);
}

void Session::trace_policy(std::string detail) {
  TraceEvent event{.id = transaction_.id, .kind = TraceKind::policy};
  event.detail = std::move(detail);
  context_.platform.trace.add(std::move(event));
}

Session::Done Session::accept_message() {
  Arrival arrival;
  arrival.began = context_.platform.clock.steady_now();
  const auto content = spool_.view();
  if (!content) co_return co_await end_content(Reply{452, "4.3.1", "not enough storage, try again later"});
  arrival.content = *content;
  Looping loop_finder(transaction_.recipients);
  auto facts = read_header(arrival.content.substr(0, message::header_end(arrival.content)), loop_finder);
  auto looping = loop_finder.take();
  if (facts.received > context_.options.max_received) looping.assign(looping.size(), true);
  arrival.message_id = std::move(facts.message_id);
  arrival.tls_optional = facts.tls_optional && !transaction_.require_tls;
  const auto loops = static_cast<std::size_t>(std::ranges::count(looping, true));
  // One reply for all: the message is refused for all where it loops for one. LMTP refuses for that one.
  if (loops != 0 && (!context_.policy.lmtp || loops == looping.size())) co_return co_await end_content(loop_reply());
  if (account_) {
    auto refused = co_await mend(arrival);
    if (refused) co_return co_await end_content(std::move(refused));
  } else if (!transaction_.onward.empty() && may_send_everywhere()) {
    note_author(arrival);
  }
  arrival.trace = trace_fields();
  trace_received(arrival);

  std::vector<Reply> replies;
  if (transaction_.needs_queue()) {
    // What was declared counts for nothing where the octets are others: a label alone is no reason to convert, which would break
    // signatures.
    arrival.eight_bit = !is_ascii(arrival.content);
    arrival.binary = transaction_.body == Body::binary;
    replies = relayed_in_session() ? co_await relay_message(arrival, looping) : co_await enqueue(arrival, looping);
    for (std::size_t i = 0; context_.policy.lmtp && i < replies.size(); ++i) {
      if (looping[i]) replies[i] = loop_reply();
    }
  } else {
    const auto message = co_await context_.platform.delivery.prepare(arrival.content);
    if (!message) {
      log_.event(log::Level::warning, "message not prepared", {{"id", transaction_.id}, {"detail", message.error().detail}});
      co_return co_await end_content(delivery_reply(message.error()));
    }
    if (context_.policy.lmtp) {
      replies = co_await deliver_each(arrival.trace, looping, *message);
    } else {
      replies.push_back(co_await deliver_to(0, static_cast<std::uint32_t>(transaction_.targets.size()), arrival.trace, *message));
    }
  }
  finish(replies, arrival.content.size(), arrival.began);
  co_return Result<void>{};
}

net::asio::awaitable<Reply> Session::deliver_to(std::uint32_t first, std::uint32_t last, const std::string& trace, storage::PreparedPtr message) {
  Envelope envelope{.id = transaction_.id, .sender = transaction_.sender, .trace = trace, .targets = {}};
  envelope.ret = transaction_.ret;
  envelope.envelope_id = transaction_.envelope_id;
  envelope.smtputf8 = transaction_.smtputf8;
  // Recipients of one LMTP transaction are deliveries of their own.
  if (context_.policy.lmtp) envelope.id.append(".").append(std::to_string(first));
  envelope.targets.assign(transaction_.targets.begin() + first, transaction_.targets.begin() + last);
  const auto done = co_await context_.platform.delivery.deliver(std::move(envelope), std::move(message));
  if (!done) {
    const auto& why = done.error();
    const auto level = why.fault == Fault::refused   ? log::Level::info
                       : why.fault == Fault::corrupt ? log::Level::error
                                                     : log::Level::warning;
    log_.event(level, "delivery failed", {{"id", transaction_.id}, {"code", why.code}, {"reason", why.text}, {"detail", why.detail}});
    co_return delivery_reply(why);
  }
  co_return Reply{250, "2.0.0", "delivered as " + transaction_.id};
}

// LMTP: each recipient has its own fate and reply, in the order of RCPT (RFC 2033 §4.2).
net::asio::awaitable<std::vector<Reply>> Session::deliver_each(const std::string& trace, const std::vector<bool>& looping,
                                                               storage::PreparedPtr message) {
  const auto& recipients = transaction_.recipients;
  std::vector<Reply> replies(recipients.size(), Reply{250, "2.0.0", "delivered as " + transaction_.id});
  auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
    const auto& recipient = recipients[i];
    if (looping[i]) {
      replies[i] = loop_reply();
    } else if (recipient.first != recipient.last) {
      replies[i] = co_await deliver_to(recipient.first, recipient.last, trace, message);
    }
  };
  co_await for_each_at_once(recipients.size(), kRecipientsAtOnce, each);
  // Accounts that came in with an earlier recipient share its fate.
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    for (const auto owner : recipients[i].earlier) {
      if (replies[i].positive() && !replies[owner].positive()) replies[i] = replies[owner];
    }
  }
  co_return replies;
}

void Session::finish(const std::vector<Reply>& replies, std::uint64_t size, std::chrono::steady_clock::time_point began) {
  const auto took = context_.platform.clock.steady_now() - began;
  std::size_t delivered = 0;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const auto& answer = replies[i];
    if (answer.positive()) {
      ++delivered;
    } else {
      TraceEvent event{.id = transaction_.id, .kind = TraceKind::refused, .from = transaction_.sender};
      if (context_.policy.lmtp) event.to.push_back(transaction_.recipients[i].address);
      event.host = client_name();
      event.reply = reply_text(answer);
      context_.platform.trace.add(std::move(event));
    }
    reply(answer);
  }
  if (!context_.policy.lmtp && delivered != 0) delivered = transaction_.recipients.size();
  context_.metrics.delivery.observe(took);
  if (delivered != 0) {
    ++accepted_;
    transaction_.counted = false;  // what it took of the sender's limits stays taken
    context_.metrics.messages.add();
    context_.metrics.octets.add(size);
    context_.metrics.recipients.add(delivered);
  }
  log_.event(log::Level::info, delivered != 0 ? "accepted" : "rejected",
             {{"id", transaction_.id},
              {"from", transaction_.sender},
              {"to", transaction_.recipients.front().address},
              {"recipients", transaction_.recipients.size()},
              {"delivered", delivered},
              {"size", size},
              {"user", account_ ? std::string_view(account_->address) : std::string_view{}},
              {"code", replies.front().code},
              {"us", std::chrono::duration_cast<std::chrono::microseconds>(took).count()}});
}

}  // namespace relais::smtp
