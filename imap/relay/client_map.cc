// Asks a platform for the sequence map and the flags that its client knows.
#include "imap/relay/client_map.h"

#include "base/ascii.h"
#include "imap/proto/response.h"
#include "imap/proto/response_framer.h"
#include "net/loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace relais::imap {
namespace {

constexpr std::size_t kFlushAt = 64 * 1024;  // octets for the client
constexpr std::uint32_t kExpunges = 20'000;  // what may be kept of them: each costs a search in the map
constexpr std::uint32_t kUnknown = ~std::uint32_t{0};
constexpr ResponseLimits kLimits{.inlined = 8 * 1024, .text = 1024 * 1024};

std::unexpected<Error> out_of_step(const char* detail) { return fail(Fault::refused, "the session can't be followed", "", detail); }

/// Flag lists, each once.
class FlagSets {
 public:
  std::uint32_t number_of(std::vector<std::string> flags) {
    std::erase_if(flags, [](const std::string& flag) { return iequals(flag, "\\Recent"); });
    if (last_ != kUnknown && sets_[last_] == flags) return last_;
    std::string key;
    for (const auto& flag : flags) key.append(flag).append(" ");
    const auto [found, fresh] = numbers_.try_emplace(std::move(key), static_cast<std::uint32_t>(sets_.size()));
    if (fresh) sets_.push_back(std::move(flags));
    return last_ = found->second;
  }
  std::vector<std::vector<std::string>> take() { return std::move(sets_); }

 private:
  std::vector<std::vector<std::string>> sets_;
  std::map<std::string, std::uint32_t> numbers_;
  std::uint32_t last_ = kUnknown;
};

class Conversation {
 public:
  Conversation(net::Connection& server, net::Connection& client, ClientMapQuestion question, net::Deadline until)
      : server_(server),
        client_(client),
        question_(std::move(question)),
        until_(until),
        tag_(question_.idle_tag.starts_with("relais") ? "moved" : "relais") {}

  net::Task<ClientMap> run() {
    ClientMap known;
    if (question_.exists == 0) co_return known;
    if (!question_.idle_tag.empty()) RELAIS_CO_TRY_VOID(co_await ask("DONE", question_.idle_tag, &Conversation::while_idle));
    if (question_.exists > question_.most) co_return out_of_step("too many messages");
    if (question_.exists == 0) {
      RELAIS_CO_TRY_VOID(co_await client_.flush(until_));
      co_return known;
    }
    uids_.assign(question_.exists, 0);
    RELAIS_CO_TRY_VOID(co_await command("FETCH 1:* (UID)", &Conversation::while_mapping));
    RELAIS_CO_TRY_VOID(take_map());
    RELAIS_CO_TRY_VOID(co_await command("NOOP", &Conversation::while_syncing));
    if (!now_.empty()) {
      flags_.assign(static_cast<std::size_t>(now_.count()), kUnknown);
      RELAIS_CO_TRY_VOID(co_await command("FETCH 1:" + std::to_string(flags_.size()) + " (FLAGS)", &Conversation::while_listing));
    }
    RELAIS_CO_TRY_VOID(co_await client_.flush(until_));
    known.uids = std::move(map_);
    known.flags = known_flags();
    co_return known;
  }

 private:
  using Handler = Result<void> (Conversation::*)(const Response& response, std::string_view text);

  net::Task<void> command(const std::string& text, Handler handler) { co_return co_await ask(tag_ + " " + text, tag_, handler); }

  // Says it, and gives the handler what comes until the reply with this tag, which has to be OK.
  net::Task<void> ask(std::string line, std::string tag, Handler handler) {
    server_.queue(line + "\r\n");
    RELAIS_CO_TRY_VOID(co_await server_.flush(until_));
    for (;;) {
      const auto step = framer_.feed(server_.buffered());
      server_.consume(step.used);
      if (step.event == ResponseFramer::Event::more) {
        // A pause for others: filling may have all at once.
        co_await net::asio::post(server_.loop().executor(), net::asio::use_awaitable);
        RELAIS_CO_TRY_VOID(co_await server_.fill(until_, net::Awaiting::data));
        continue;
      }
      if (step.event != ResponseFramer::Event::response) co_return out_of_step("a response that is too large");
      RELAIS_CO_TRY(const auto response, parse_response(framer_.text()));
      if (response.kind == Response::Kind::bye) co_return fail(Fault::closed, "the platform has said BYE");
      if (!response.tag.empty()) {
        if (response.tag != tag) co_return out_of_step("a reply to nothing");
        framer_.next();
        if (response.kind != Response::Kind::ok) co_return out_of_step("a command was refused");
        co_return Result<void>{};
      }
      RELAIS_CO_TRY_VOID((this->*handler)(response, framer_.text()));
      framer_.next();
      if (client_.out().size() >= kFlushAt) RELAIS_CO_TRY_VOID(co_await client_.flush(until_));
    }
  }

  // The client still idles: it hears everything.
  Result<void> while_idle(const Response& response, std::string_view text) {
    switch (response.kind) {
      case Response::Kind::capability: return {};  // what there is now it is told later
      case Response::Kind::exists:
        if (response.as<std::uint32_t>() < question_.exists) return out_of_step("messages went without EXPUNGE");
        question_.exists = response.as<std::uint32_t>();
        break;
      case Response::Kind::expunge:
        if (response.as<std::uint32_t>() > question_.exists || question_.exists == 0) return out_of_step("EXPUNGE of no message");
        --question_.exists;
        break;
      case Response::Kind::vanished: {
        const auto& vanished = response.as<VanishedResult>();
        if (vanished.earlier) break;
        if (vanished.uids.count() > question_.exists) return out_of_step("VANISHED of no message");
        question_.exists -= static_cast<std::uint32_t>(vanished.uids.count());
        break;
      }
      default: break;
    }
    client_.out().append(text).append("\r\n");
    return {};
  }

  Result<void> while_mapping(const Response& response, std::string_view text) {
    if (response.kind == Response::Kind::exists) grown_ = std::max(grown_, response.as<std::uint32_t>());
    if (response.kind == Response::Kind::expunge) return out_of_step("EXPUNGE during FETCH");
    if (response.kind == Response::Kind::vanished && !response.as<VanishedResult>().earlier) return out_of_step("VANISHED during FETCH");
    if (response.kind != Response::Kind::fetch) return {};
    const auto& message = response.as<FetchResult>();
    largest_ = std::max(largest_, message.sequence);
    if (message.sequence == 0 || message.sequence > question_.exists) return {};
    if (message.uid) {
      auto& uid = uids_[message.sequence - 1];
      if (uid != 0 && uid != *message.uid) return out_of_step("a message with two UIDs");
      uid = *message.uid;
    }
    if (message.flags) pass_on(message.sequence, text);
    return {};
  }

  // The numbers are exactly those that the client has been told of, and those that it has not been told of yet.
  Result<void> take_map() {
    if (largest_ < question_.exists || largest_ > std::max(question_.exists, grown_))
      return out_of_step("another number of messages than the client knows");
    std::uint32_t before = 0;
    for (const auto uid : uids_) {
      if (uid <= before) return out_of_step("UIDs that are missing or do not ascend");
      map_.add(uid);
      before = uid;
    }
    std::vector<std::uint32_t>().swap(uids_);
    now_ = map_;
    return {};
  }

  Result<void> while_syncing(const Response& response, std::string_view text) {
    switch (response.kind) {
      case Response::Kind::expunge: {
        if (++expunges_ > kExpunges) return out_of_step("too many messages went");
        const auto sequence = response.as<std::uint32_t>();
        if (sequence == 0) return out_of_step("EXPUNGE of no message");
        if (const auto uid = now_.nth(sequence - 1)) now_.remove(*uid);
        return {};
      }
      case Response::Kind::vanished:
        if (!response.as<VanishedResult>().earlier) now_.remove(response.as<VanishedResult>().uids);
        return {};
      case Response::Kind::fetch: {
        const auto& message = response.as<FetchResult>();
        if (message.sequence == 0 || !message.flags) return {};
        const auto uid = now_.nth(message.sequence - 1);
        if (uid) pass_on(static_cast<std::uint32_t>(map_.rank(*uid)) + 1, text);  // others are new
        return {};
      }
      default: return {};
    }
  }

  Result<void> while_listing(const Response& response, std::string_view) {
    if (response.kind == Response::Kind::expunge) return out_of_step("EXPUNGE during FETCH");
    if (response.kind != Response::Kind::fetch) return {};
    const auto& message = response.as<FetchResult>();
    if (message.flags && message.sequence != 0 && message.sequence <= flags_.size())
      flags_[message.sequence - 1] = sets_.number_of(*message.flags);
    return {};
  }

  // "* 12 FETCH (…)" by the client's number.
  void pass_on(std::uint32_t sequence, std::string_view text) {
    auto& out = client_.out();
    out += "* ";
    append_number(out, sequence);
    out.append(text.substr(std::min(text.find_first_not_of("0123456789", 2), text.size()))).append("\r\n");
  }

  KnownFlags known_flags() {
    KnownFlags known;
    known.sets = sets_.take();
    std::size_t at = 0;
    auto before = kUnknown;
    now_.for_each([&](std::uint32_t uid) {
      const auto set = flags_[at++];
      if (set != kUnknown) {
        if (set == before)
          known.runs.back().last = uid;
        else
          known.runs.push_back({uid, uid, set});
      }
      before = set;
    });
    return known;
  }

  net::Connection& server_;
  net::Connection& client_;
  ClientMapQuestion question_;
  const net::Deadline until_;
  const std::string tag_;  ///< of our own commands: no command of the client's is under way but the IDLE
  ResponseFramer framer_{kLimits};
  std::vector<std::uint32_t> uids_;  ///< by sequence number, while it is being told
  std::uint32_t grown_ = 0;
  std::uint32_t largest_ = 0;
  NumberSet map_;  ///< the client's
  NumberSet now_;  ///< the server's, without what is new there
  std::uint32_t expunges_ = 0;
  std::vector<std::uint32_t> flags_;  ///< by the server's sequence number
  FlagSets sets_;
};

}  // namespace

net::Task<ClientMap> ask_client_map(net::Connection& server, net::Connection& client, ClientMapQuestion question, net::Deadline until) {
  Conversation conversation(server, client, std::move(question), until);
  co_return co_await conversation.run();
}

}  // namespace relais::imap
