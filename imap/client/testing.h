// What the client's tests share: a server that is a text, and results as one line.
#pragma once

#include "imap/client/client.h"
#include "net/memory_stream.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::imap::testing {

inline ClientOptions options_for(std::string user = "u", std::string password = "p") {
  ClientOptions options;
  options.service.host = "imap.test";
  options.login.user = std::move(user);
  options.login.password = std::move(password);
  options.plaintext_allowed = true;
  return options;
}

/// Greeting and login of a server with these capabilities; the client's next tag is r2.
inline std::string welcome(std::string_view capabilities) {
  const auto list = "[CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR " + std::string(capabilities) + "]";
  return "* OK " + list + " ready\r\nr1 OK " + list + " in\r\n";
}

/// The client's login to such a server.
inline const std::string kLoginLine = "r1 AUTHENTICATE PLAIN AHUAcA==\r\n";

/// "closed timeout", "refused NONEXISTENT", "temporary".
inline std::string word_for(const Error& error) {
  return std::string(to_string(error.fault)) + (error.code.empty() ? "" : " " + error.code);
}

using Body = std::function<net::asio::awaitable<std::string>(Client&)>;

/// Runs the body on a client whose server says all of `script.to_server`. @return what the body gave, or how opening failed: "no: …"
inline std::string talk(net::Script& script, ClientOptions options, const Body& body) {
  std::string result;
  auto session = [&](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    auto client = co_await Client::open(std::move(connection), options);
    if (!client) {
      result = "no: " + word_for(client.error());
      co_return;
    }
    result = co_await body(**client);
  };
  net::play(script, session);
  return result;
}

/// A conversation from its beginning.
struct Talked {
  std::string result;
  std::string said;  ///< by the client, behind its login
};
inline Talked talk(std::string_view capabilities, std::string_view hears, const Body& body) {
  net::Script script;
  script.to_server = welcome(capabilities).append(hears);
  Talked talked;
  talked.result = talk(script, options_for(), body);
  talked.said = script.from_server;
  if (talked.said.starts_with(kLoginLine)) talked.said.erase(0, kLoginLine.size());
  return talked;
}

/// Keeps all of what a FETCH brings as lines.
class Keeper final : public FetchReceiver {
 public:
  Result<void> begin(const FetchResult& so_far) override {
    if (fail_at_begin) return fail(Fault::temporary, "no room", "FULL");
    const auto& section = so_far.sections.back();
    text += "begin " + std::to_string(so_far.sequence) + " uid " + std::to_string(so_far.uid.value_or(0)) + " " + section.name + " " +
            std::to_string(section.octets->size) + "\n";
    large.emplace_back();
    return {};
  }
  net::Task<void> octets(std::string_view piece) override {
    if (fail_at_octets) co_return fail(Fault::temporary, "no room", "FULL");
    largest_piece = std::max(largest_piece, piece.size());
    large.back() += piece;
    co_return Result<void>{};
  }
  net::Task<void> end(FetchResult result) override {
    if (fail_at_end) co_return fail(Fault::temporary, "no room", "FULL");
    text += std::to_string(result.sequence) + " uid " + std::to_string(result.uid.value_or(0));
    if (result.flags) {
      text += " flags";
      for (const auto& flag : *result.flags) text += " " + flag;
    }
    for (const auto& section : result.sections) {
      text += " " + section.name + "=" + (!section.octets ? "NIL" : section.octets->literal ? "large" : section.octets->inlined);
    }
    text += "\n";
    co_return Result<void>{};
  }

  std::string text;
  std::vector<std::string> large;
  std::size_t largest_piece = 0;
  bool fail_at_begin = false;
  bool fail_at_octets = false;
  bool fail_at_end = false;
};

}  // namespace relais::imap::testing
