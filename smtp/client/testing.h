// What the client's tests share: running a dialogue, and outcomes as one line.
#pragma once

#include "smtp/client/client.h"
#include "smtp/client/test_support.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp::testing {

inline ConnectOptions options_for(const ScriptedHost& host) {
  ConnectOptions options;
  options.host = "mx.test";
  options.address = "127.0.0.1";
  options.port = host.port();
  options.hello_name = "us.test";
  options.tls.level = TlsLevel::none;
  return options;
}

/// Every timeout that short: for hosts that hang.
inline ClientTimeouts short_timeouts() {
  constexpr std::chrono::milliseconds kShort{50};
  return {kShort, kShort, kShort, kShort, kShort, kShort, kShort, kShort, kShort, kShort};
}

inline OutboundMessage message_to(ContentSource& content, const std::vector<std::string>& recipients) {
  OutboundMessage message;
  message.sender = "from@us.test";
  for (const auto& recipient : recipients) message.recipients.push_back({recipient});
  message.content = &content;
  return message;
}

inline std::string_view word(Disposition disposition) {
  return disposition == Disposition::delivered ? "delivered" : disposition == Disposition::permanent ? "permanent" : "temporary";
}

/// "permanent 5.1.1 RCPT"
inline std::string summary(const Verdict& verdict) {
  std::string out(word(verdict.disposition));
  out.append(" ").append(verdict.status).append(" ").append(to_string(verdict.stage));
  if (verdict.uncertain) out += " uncertain";
  return out;
}

/// "delivered 2.0.0 end of DATA; permanent 5.1.1 RCPT | usable"
inline std::string summary(const Outcome& outcome) {
  std::string out;
  for (const auto& verdict : outcome.recipients) {
    if (!out.empty()) out += "; ";
    out += summary(verdict);
  }
  out += " |";
  if (outcome.usable) out += " usable";
  if (outcome.stale) out += " stale";
  if (outcome.host_trouble) out += " trouble";
  if (outcome.converted) out += " converted";
  return out;
}

/// One connection's life.
struct Ran {
  Verdict failure;
  bool connected = false;
  TlsResult tls;
  RemoteOffer offer;
  std::vector<Outcome> outcomes;
  std::string all() const {
    if (!connected) return "not connected: " + summary(failure);
    std::string out;
    for (const auto& outcome : outcomes) out += (out.empty() ? "" : "\n") + summary(outcome);
    return out;
  }
};

/// Connects, sends the messages, says goodbye.
inline net::asio::awaitable<Ran> dialogue(net::Loop& loop, ConnectOptions options, std::vector<OutboundMessage> messages) {
  Ran ran;
  auto connected = co_await Client::connect(loop, std::move(options));
  ran.tls = connected.tls;
  ran.failure = connected.failure;
  if (!connected.client) co_return ran;
  ran.connected = true;
  ran.offer = connected.client->offer();
  for (const auto& message : messages) ran.outcomes.push_back(co_await connected.client->send(message));
  co_await connected.client->quit();
  co_return ran;
}

inline Ran run(ConnectOptions options, std::vector<OutboundMessage> messages) {
  net::LoopPool loops(1);
  loops.start();
  return net::run_on(loops.at(0), dialogue(loops.at(0), std::move(options), std::move(messages)));
}

}  // namespace relais::smtp::testing
