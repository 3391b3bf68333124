// One durable entry for everything about a message that does not simply go into mailboxes here.
#include "base/ascii.h"
#include "base/log.h"
#include "message/delivery_status.h"
#include "message/header.h"
#include "message/trace.h"
#include "smtp/server/session.h"
#include "storage/model/prepared.h"

#include <algorithm>
#include <map>

namespace relais::smtp {
namespace {

constexpr std::size_t kEncodedHere = 64 * 1024;  // octets compressed on the loop; more goes to a worker
constexpr std::uint32_t kNoAlias = ~std::uint32_t{0};

// RFC 3461 §5.2.7: once an address has become several, "it arrived" is told by one "expanded" notice and asked of nobody else.
Notify notify_of(const AcceptedRecipient& recipient) {
  auto notify = recipient.notify;
  if (recipient.ways > 1 && notify.success()) {
    notify.bits = static_cast<std::uint8_t>(notify.bits & ~Notify::kSuccess);
    if (notify.bits == 0) notify.bits = Notify::kNever;
  }
  return notify;
}

Reply queue_reply(const Error& error) {
  if (error.code == "STORAGE_FULL") return {452, "4.3.1", "not enough storage, try again later"};
  return {451, "4.3.0", "temporary failure, try again later"};
}

}  // namespace

net::Task<storage::SharedChunks> Session::encode(std::string_view content) {
  if (content.size() <= kEncodedHere) co_return storage::encode_chunks(content);
  RELAIS_CO_TRY(const auto prepared, co_await context_.platform.delivery.prepare(content));
  co_return prepared->chunks();
}

// Of the author's domain, for what its own users send. What is signed replaces the content.
net::asio::awaitable<void> Session::sign(Arrival& arrival) {
  if (arrival.signatures) co_return;
  auto& fields = arrival.signatures.emplace();
  auto* signer = context_.platform.outgoing->signer;
  if (signer == nullptr || arrival.author_domain.empty()) co_return;
  auto done = co_await signer->sign(arrival.author_domain, {arrival.content, arrival.binary, transaction_.smtputf8});
  if (!done.content.empty()) {
    trace_policy("made 7bit to be signed");
    arrival.mended = std::move(done.content);
    arrival.content = arrival.mended;
    arrival.eight_bit = !is_ascii(arrival.content);
    arrival.binary = false;
  }
  fields = std::move(done.fields);
  if (!fields.empty()) trace_policy("signed by " + arrival.author_domain);
}

// In front of what an alias sends on: where it passed (so that it is not taken a second time), and our word for how it came.
net::asio::awaitable<std::string> Session::forward_fields(const Arrival& arrival, const std::string& signatures, std::uint32_t recipient) {
  const auto& alias = transaction_.recipients[recipient].address;
  auto fields = message::delivered_to_field(alias) + signatures;
  auto* signer = context_.platform.outgoing->signer;
  if (signer != nullptr && signatures.empty()) {
    const auto end = message::header_end(arrival.content);
    const auto domain = alias.substr(alias.rfind('@') + 1);
    const auto set = co_await signer->seal(domain, arrival.content.substr(0, end), arrival.content.substr(end));
    if (!set.empty()) trace_policy("sealed (ARC) by " + domain);
    fields += set;
  }
  co_return fields + arrival.trace;
}

/// @param without  recipients (by position) that are left out
net::Task<std::vector<queue::NewMessage>> Session::compose(Arrival& arrival, const std::vector<bool>& without) {
  const auto& transaction = transaction_;
  if (!transaction.onward.empty()) co_await sign(arrival);
  const auto signed_by_us = arrival.signatures.value_or("");
  RELAIS_CO_TRY(const auto chunks, co_await encode(arrival.content));
  const auto base = [&] {
    queue::NewMessage message;
    message.trace_id = transaction.id;
    message.eight_bit = arrival.eight_bit;
    message.binary = arrival.binary;
    message.smtputf8 = transaction.smtputf8;
    message.require_tls = transaction.require_tls;
    message.optional_tls = arrival.tls_optional;
    message.ret = transaction.ret;
    message.envelope_id = transaction.envelope_id;
    message.priority = transaction.priority;
    message.hold_until = transaction.hold_until;
    message.hold_request = transaction.hold_request;
    message.deliver_by = transaction.deliver_by;
    message.by_mode = transaction.deliver_by == 0 ? queue::ByMode::none : transaction.by_return ? queue::ByMode::give_up : queue::ByMode::notify;
    message.by_trace = transaction.by_trace;
    message.arrival = context_.platform.clock.seconds();
    message.account = account_ ? account_->number : 0;
    message.client = client_name();
    message.message_id = arrival.message_id;
    return message;
  };
  const auto recipient_of = [&](std::uint32_t position, std::string address, std::string destination) {
    const auto& recipient = transaction.recipients[position];
    queue::NewRecipient out;
    if (address != recipient.address) out.given = recipient.address;
    out.address = std::move(address);
    out.original = recipient.original;
    out.notify = notify_of(recipient);
    out.destination = std::move(destination);
    return out;
  };

  // What has the same reverse-path and the same trace fields is one message.
  std::map<std::pair<std::uint32_t, std::string>, queue::NewMessage> groups;
  const auto group_of = [&](std::uint32_t alias, const std::string& sender) -> queue::NewMessage& {
    auto [at, added] = groups.try_emplace({alias, sender});
    if (added) {
      at->second = base();
      at->second.sender = sender;
    }
    return at->second;
  };
  for (std::uint32_t position = 0; position < transaction.recipients.size(); ++position) {
    const auto& recipient = transaction.recipients[position];
    for (auto i = recipient.first; i < recipient.last && !without[position]; ++i) {
      group_of(kNoAlias, transaction.sender).recipients.push_back(recipient_of(position, transaction.targets[i].login, "local"));
    }
  }
  for (const auto& target : transaction.onward) {
    if (without[target.recipient]) continue;
    const auto alias = target.why == Onward::Why::forward ? target.recipient : kNoAlias;
    group_of(alias, target.sender).recipients.push_back(recipient_of(target.recipient, target.address, target.destination));
  }

  std::vector<queue::NewMessage> messages;
  for (auto& [key, message] : groups) {
    const auto prefix = key.first == kNoAlias ? signed_by_us + arrival.trace : co_await forward_fields(arrival, signed_by_us, key.first);
    message.content = storage::make_blob(prefix, chunks);
    // The id of the transaction is that of the first; the others are its children.
    if (!messages.empty()) {
      message.parent = transaction.id;
      message.trace_id = transaction.id + "." + std::to_string(messages.size());
    }
    messages.push_back(std::move(message));
  }
  co_return messages;
}

// For recipients that became several, and whose sender wants to hear of success.
net::Task<std::optional<queue::NewMessage>> Session::expanded_notice(const Arrival& arrival, const std::vector<bool>& without) {
  const auto& transaction = transaction_;
  message::Report report;
  for (std::uint32_t position = 0; position < transaction.recipients.size(); ++position) {
    const auto& recipient = transaction.recipients[position];
    if (without[position] || recipient.ways < 2 || !recipient.notify.success()) continue;
    message::ReportedRecipient told;
    told.recipient = recipient.address;
    told.original_type = recipient.original.type;
    told.original = recipient.original.address;
    told.action = message::DeliveryAction::expanded;
    report.recipients.push_back(std::move(told));
  }
  if (report.recipients.empty() || transaction.sender.empty()) co_return std::nullopt;
  auto destination = co_await context_.routing.destination(transaction.sender);
  if (!destination && destination.error().fault != Fault::refused) co_return fail(std::move(destination).error());
  if (!destination) co_return std::nullopt;
  const auto now = context_.platform.clock.seconds();
  queue::NewMessage notice;
  notice.trace_id = transaction.id + ".x";
  report.hostname = context_.options.hostname;
  report.report_id = notice.trace_id;
  report.id = transaction.id;
  report.sender = transaction.sender;
  report.envelope_id = transaction.envelope_id;
  report.smtputf8 = transaction.smtputf8;
  report.arrived = now;
  report.now = now;
  const auto built = message::build_report(report, arrival.content.substr(0, message::header_end(arrival.content)));
  notice.content = storage::make_blob({}, storage::encode_chunks(built.message));
  notice.eight_bit = built.eight_bit;
  notice.smtputf8 = built.smtputf8;
  notice.require_tls = transaction.require_tls;  // RFC 8689 §5
  notice.recipients.push_back({.address = transaction.sender, .destination = std::move(*destination)});
  notice.priority = transaction.priority;
  notice.arrival = now;
  notice.client = "here";
  notice.message_id = "<" + notice.trace_id + "@" + context_.options.hostname + ">";
  notice.parent = transaction.id;
  notice.report = true;
  co_return notice;
}

// Which address became which others, and under which ids the parts of the message go on.
void Session::trace_onward(const Arrival& arrival, const std::vector<queue::NewMessage>& messages) {
  auto& trace = context_.platform.trace;
  for (const auto& message : messages) {
    if (message.report) continue;
    if (!message.parent.empty()) {
      TraceEvent born{.id = message.trace_id, .kind = TraceKind::received, .from = message.sender};
      born.message_id = arrival.message_id;
      born.parent = message.parent;
      born.host = message.client;
      born.detail = "sent on by an alias";
      born.size = received_;
      trace.add(std::move(born));
    }
    std::map<std::string, TraceEvent> expanded;
    for (const auto& recipient : message.recipients) {
      if (recipient.given.empty()) continue;
      auto& event = expanded[recipient.given];
      event.id = message.trace_id;
      event.kind = TraceKind::expanded;
      event.to.push_back(recipient.address);
      event.detail = recipient.given;
    }
    for (auto& [alias, event] : expanded) trace.add(std::move(event));
  }
}

/// One reply, or for LMTP one per recipient.
net::asio::awaitable<std::vector<Reply>> Session::enqueue(Arrival& arrival, const std::vector<bool>& without) {
  const auto replies = [&](Reply reply) { return std::vector<Reply>(context_.policy.lmtp ? transaction_.recipients.size() : 1, std::move(reply)); };
  auto messages = co_await compose(arrival, without);
  if (!messages) {
    log_.event(log::Level::warning, "message not prepared", {{"id", transaction_.id}, {"detail", messages.error().detail}});
    co_return replies(queue_reply(messages.error()));
  }
  auto notice = co_await expanded_notice(arrival, without);
  if (!notice) co_return replies(queue_reply(notice.error()));
  if (*notice) messages->push_back(std::move(**notice));
  trace_onward(arrival, *messages);
  const auto done = co_await context_.platform.outgoing->intake.accept(std::move(*messages));
  if (!done) {
    const auto& why = done.error();
    log_.event(why.fault == Fault::temporary ? log::Level::warning : log::Level::error, "not queued",
               {{"id", transaction_.id}, {"code", why.code}, {"reason", why.text}, {"detail", why.detail}});
    co_return replies(queue_reply(why));
  }
  co_return replies(Reply{250, "2.0.0", "queued as " + transaction_.id});
}

}  // namespace relais::smtp
