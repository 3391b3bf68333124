// One session's connection to a legacy platform, and the memory of those that do not answer.
#include "smtp/server/session_relays.h"

#include "smtp/client/content.h"

#include <algorithm>

namespace relais::smtp {

struct SessionRelays::Shared {
  Shared(Dialer chosen, SessionRelayOptions limits, const Clock& time) : dialer(std::move(chosen)), options(limits), clock(time) {}

  bool paused(const std::string& destination) {
    const std::lock_guard lock(mutex);
    const auto found = pauses.find(destination);
    if (found == pauses.end()) return false;
    if (found->second > clock.steady_now()) return true;
    pauses.erase(found);
    return false;
  }
  void pause(const std::string& destination) {
    const auto now = clock.steady_now();
    const std::lock_guard lock(mutex);
    if (pauses.size() >= options.max_remembered) std::erase_if(pauses, [&](const auto& entry) { return entry.second <= now; });
    if (pauses.size() < options.max_remembered) pauses.insert_or_assign(destination, now + options.pause);
  }

  const Dialer dialer;
  const SessionRelayOptions options;
  const Clock& clock;
  std::mutex mutex;
  std::map<std::string, std::chrono::steady_clock::time_point> pauses;  // guarded by mutex
};

namespace {

// A refusal that its author stands by. Without a reply, with 421, and with what concerns the host as a whole, the mail is better off in the queue.
std::optional<Reply> reply_of(const Verdict& verdict) {
  if (verdict.disposition == Disposition::delivered) return Reply{250, "2.0.0", "ok"};
  if (verdict.scope == Scope::host || verdict.reply.code == 0 || verdict.reply.code == 421 || verdict.uncertain) return std::nullopt;
  // The enhanced code of another server is text of ours.
  Reply reply{verdict.reply.code, {}, verdict.status + " " + verdict.reply.text};
  std::ranges::replace(reply.text, '\n', ' ');
  return reply;
}

class SessionRelay final : public Relay {
 public:
  SessionRelay(std::shared_ptr<SessionRelays::Shared> shared, std::string destination, net::Loop& loop)
      : shared_(std::move(shared)), destination_(std::move(destination)), loop_(loop) {}

  net::asio::awaitable<RelayAnswer> check(std::string sender, std::string recipient, bool smtputf8) override {
    for (bool fresh = false;; fresh = true) {
      fresh = co_await reach(fresh);
      if (!link_.client) co_return unreached();
      const auto verdict = co_await link_.client->check(sender, recipient, smtputf8);
      if (!link_.client->usable() && !fresh) continue;
      co_return answer(verdict);
    }
  }

  net::asio::awaitable<std::vector<RelayAnswer>> send(const RelayMessage& message) override {
    for (bool fresh = false;; fresh = true) {
      fresh = co_await reach(fresh);
      if (!link_.client) co_return std::vector<RelayAnswer>(message.recipients.size(), unreached());
      MemoryContent content(message.content);
      OutboundMessage out;
      out.sender = message.sender;
      for (const auto& recipient : message.recipients) out.recipients.push_back({recipient.address, recipient.notify, recipient.original});
      out.content = &content;
      out.body = message.binary ? Body::binary : message.eight_bit ? Body::eight_bit : Body::seven_bit;
      out.smtputf8 = message.smtputf8;
      out.require_tls = message.require_tls;
      out.ret = message.ret;
      out.envelope_id = message.envelope_id;
      if (message.priority != 0) out.priority = message.priority;
      const auto outcome = co_await link_.client->send(out);
      if (outcome.stale && !fresh) continue;
      std::vector<RelayAnswer> answers;
      for (const auto& verdict : outcome.recipients) answers.push_back(answer(verdict));
      if (outcome.host_trouble) shared_->pause(destination_);
      co_return answers;
    }
  }

 private:
  /// Connects where there is no connection, or `again`. @return whether it did
  net::asio::awaitable<bool> reach(bool again) {
    if (link_.client && link_.client->usable() && !again) co_return false;
    link_.client.reset();
    if (shared_->paused(destination_)) {
      link_ = Dialed{};
      link_.trouble = "it did not answer a moment ago";
      co_return true;
    }
    link_ = co_await dial(shared_->dialer, destination_, TlsNeed::usual, loop_);
    if (!link_.client) shared_->pause(destination_);
    co_return true;
  }
  RelayAnswer unreached() const { return {.reply = std::nullopt, .host = link_.host, .trouble = link_.trouble}; }
  RelayAnswer answer(const Verdict& verdict) const {
    RelayAnswer out{.reply = reply_of(verdict), .host = link_.host, .trouble = {}};
    if (!out.reply) out.trouble = verdict.line();
    if (out.reply && out.reply->positive() && verdict.reply.code != 0) out.reply->text = verdict.reply.line();
    return out;
  }

  const std::shared_ptr<SessionRelays::Shared> shared_;
  const std::string destination_;
  net::Loop& loop_;
  Dialed link_;
};

}  // namespace

ClientTimeouts SessionRelayOptions::timeouts() {
  using std::chrono::milliseconds;
  ClientTimeouts out;
  out.connect = milliseconds(5'000);
  out.greeting = milliseconds(20'000);
  out.hello = milliseconds(20'000);
  out.tls = milliseconds(20'000);
  out.mail = milliseconds(60'000);
  out.rcpt = milliseconds(60'000);
  out.data = milliseconds(60'000);
  out.data_block = milliseconds(60'000);
  out.data_end = milliseconds(300'000);
  return out;
}

SessionRelays::SessionRelays(Dialer dialer, SessionRelayOptions options, const Clock& clock)
    : shared_(std::make_shared<Shared>(std::move(dialer), options, clock)) {}
SessionRelays::~SessionRelays() = default;

std::unique_ptr<Relay> SessionRelays::open(const std::string& destination, net::Loop& loop) {
  if (shared_->paused(destination)) return nullptr;
  return std::make_unique<SessionRelay>(shared_, destination, loop);
}

void SessionRelays::forget_pauses() {
  const std::lock_guard lock(shared_->mutex);
  shared_->pauses.clear();
}

}  // namespace relais::smtp
