// Legacy platforms and domains with a route of their own: asked, and given the message, while the client waits, so that their refusals become ours.
#include "smtp/server/session.h"

#include <algorithm>

namespace relais::smtp {
namespace {

constexpr std::size_t kMaxRelays = 4;  // hosts that one session talks to; what goes to others is queued

}  // namespace

Relay* Session::relay_to(const std::string& destination) {
  const auto known = std::ranges::find(relays_, destination, &std::pair<std::string, std::unique_ptr<Relay>>::first);
  if (known != relays_.end()) return known->second.get();
  auto* relays = context_.platform.outgoing->relays;
  if (relays == nullptr || relays_.size() >= kMaxRelays) return nullptr;
  auto relay = relays->open(destination, connection_->loop());
  if (!relay) return nullptr;
  relays_.emplace_back(destination, std::move(relay));
  return relays_.back().second.get();
}

// A value that is positive: taken. Without an answer the mail waits in the queue.
net::Task<Reply> Session::ask_relay(OnwardTarget& target) {
  auto* relay = relay_to(target.destination);
  if (relay == nullptr) co_return Reply{};
  const auto answer = co_await relay->check(target.sender, target.address, transaction_.smtputf8);
  if (!answer.reply) {
    log_.event(log::Level::info, "next host does not answer", {{"id", transaction_.id}, {"destination", target.destination}, {"host", answer.host},
                                                               {"reason", answer.trouble}});
    TraceEvent event{.id = transaction_.id, .kind = TraceKind::attempt, .from = transaction_.sender};
    event.to.push_back(target.address);
    event.host = answer.host.empty() ? target.destination : answer.host;
    event.detail = answer.trouble;
    context_.platform.trace.add(std::move(event));
    co_return Reply{};
  }
  target.asked = answer.reply->positive();
  co_return *answer.reply;
}

// Only where one host decides about all of it: a message that also goes elsewhere could not be taken back once the host has it.
bool Session::relayed_in_session() const {
  const auto& transaction = transaction_;
  if (transaction.onward.empty() || !transaction.targets.empty() || transaction.hold_until != 0 || transaction.deliver_by != 0) return false;
  const auto& first = transaction.onward.front();
  return std::ranges::all_of(transaction.onward, [&](const OnwardTarget& target) { return target.asked && target.destination == first.destination; }) &&
         std::ranges::none_of(transaction.recipients, [](const AcceptedRecipient& recipient) { return recipient.notify.success(); });
}

// From here to the host's reply the accounts' placements cannot change. Not from RCPT: a slow sender could hold up a freeze.
net::Task<std::vector<directory::Guest>> Session::enter_accounts(const std::vector<std::uint32_t>& sent) {
  std::vector<directory::Guest> guests;
  for (const auto i : sent) {
    const auto& account = transaction_.onward[i].account;
    if (!account) continue;
    auto* gate = context_.platform.outgoing->gate;
    if (gate == nullptr) co_return fail(Fault::temporary, "nobody watches over the account's placement");
    RELAIS_CO_TRY(auto guest, co_await gate->enter(*account, directory::GuestKind::smtp_transfer, connection_->loop(), {}));
    guests.push_back(std::move(guest));
  }
  co_return guests;
}

net::asio::awaitable<std::vector<Reply>> Session::relay_message(Arrival& arrival, const std::vector<bool>& looping) {
  auto& onward = transaction_.onward;
  auto* relay = relay_to(onward.front().destination);
  if (relay == nullptr) co_return co_await enqueue(arrival, looping);
  co_await sign(arrival);
  const auto prefix = *arrival.signatures + arrival.trace;
  RelayMessage message;
  message.sender = transaction_.sender;
  message.content = {prefix, arrival.content};
  message.ret = transaction_.ret;
  message.envelope_id = transaction_.envelope_id;
  message.priority = transaction_.priority;
  message.binary = arrival.binary;
  message.eight_bit = arrival.eight_bit;
  message.smtputf8 = transaction_.smtputf8;
  message.require_tls = transaction_.require_tls;
  std::vector<std::uint32_t> sent;  // positions in onward
  for (std::uint32_t i = 0; i < onward.size(); ++i) {
    const auto& recipient = transaction_.recipients[onward[i].recipient];
    if (looping[onward[i].recipient]) continue;
    message.recipients.push_back({onward[i].address, recipient.notify, recipient.original});
    sent.push_back(i);
  }
  auto guests = co_await enter_accounts(sent);
  if (!guests) co_return co_await enqueue(arrival, looping);  // an account is being moved, or may be: the queue looks again
  const auto answers = co_await relay->send(message);
  guests->clear();

  const bool lmtp = context_.policy.lmtp;
  const Reply accepted{250, "2.0.0", "relayed as " + transaction_.id};
  std::vector<Reply> replies(lmtp ? transaction_.recipients.size() : 1, accepted);
  std::vector<bool> without(transaction_.recipients.size(), true);
  std::optional<Reply> refusal;
  bool taken = false;
  bool unanswered = false;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const auto& target = onward[sent[i]];
    const auto& answer = answers[i];
    TraceEvent event{.id = transaction_.id, .kind = TraceKind::attempt, .from = transaction_.sender};
    event.to.push_back(target.address);
    event.host = answer.host;
    event.detail = answer.trouble;
    if (answer.reply) event.reply = reply_text(*answer.reply);
    if (answer.reply && answer.reply->positive()) {
      event.kind = TraceKind::relayed;
      taken = true;
    } else {
      without[target.recipient] = false;
      unanswered = unanswered || !answer.reply;
      if (answer.reply && lmtp) {
        replies[target.recipient] = *answer.reply;
        without[target.recipient] = true;
      }
      if (answer.reply && (!refusal || (answer.reply->temporary() && !refusal->temporary()))) refusal = answer.reply;
    }
    context_.platform.trace.add(std::move(event));
  }
  // One reply for all: where some have it, or some may still get it, the queue takes what is left, and tells the sender of refusals.
  if (!lmtp && !taken && !unanswered && refusal) co_return std::vector<Reply>{*refusal};
  if (std::ranges::find(without, false) == without.end()) co_return replies;
  const auto queued = co_await enqueue(arrival, without);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!lmtp || !without[i]) replies[i] = queued[i];
  }
  co_return replies;
}

}  // namespace relais::smtp
