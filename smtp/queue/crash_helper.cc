// The process that the crash test kills: takes messages, sends them to servers that are functions, and says what came about.
#include "smtp/queue/crash_helper.h"

#include "net/worker_pool.h"
#include "smtp/queue/queue.h"
#include "smtp/trace/log.h"
#include "storage/engine/lmdb_engine.h"

#include <unistd.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>

namespace relais::smtp::queue::testing {
namespace {

namespace asio = net::asio;
using namespace std::chrono_literals;

/// One write per line: the reader of the pipe has it even if the process dies right after.
void say(std::string line) {
  line += '\n';
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(1);
}

asio::awaitable<void> sleep_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Says what was recorded: the queue traces an outcome when it is durable.
class Ledger final : public TraceLog {
 public:
  void add(TraceEvent event) override {
    if (event.kind != TraceKind::relayed) return;
    for (const auto& address : event.to) say("recorded " + event.id + " " + address);
  }
};

class FakeLane final : public Lane {
 public:
  explicit FakeLane(std::mt19937& random) : random_(random) {}
  asio::awaitable<Outcome> send(const Dispatch& dispatch) override {
    co_await sleep_for(std::chrono::milliseconds(random_() % 4));
    Outcome outcome;
    for (const auto& to : dispatch.recipients) {
      auto& one = outcome.recipients.emplace_back();
      one.remote = true;
      if (to.address.starts_with("dead")) {
        one = {.disposition = Disposition::temporary, .code = 0, .status = "4.4.1", .text = "timed out", .host = {}, .remote = false};
        outcome.health = Health::unreachable;
        outcome.trouble = "timed out";
        outcome.open = false;
      } else if (to.address.starts_with("no")) {
        one.disposition = Disposition::permanent;
        one.code = 550;
        one.text = "550 5.1.1 no such user";
      } else if (to.address.starts_with("later") && random_() % 3 != 0) {
        one.disposition = Disposition::temporary;
        one.code = 450;
        one.text = "450 4.2.0 later";
      } else {
        one.disposition = Disposition::relayed;
        one.code = 250;
        one.text = "250 ok";
      }
    }
    std::string content;
    if (dispatch.report) (void)co_await dispatch.content->read(0, dispatch.content->size(), content);
    for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
      if (outcome.recipients[i].disposition != Disposition::relayed) continue;
      if (dispatch.report) say("report " + dispatch.trace_id + (content.contains("Action: delayed") ? " delayed" : " failed"));
      say("took " + dispatch.trace_id + " " + dispatch.recipients[i].address);
    }
    if (random_() % 4 == 0) co_await sleep_for(1ms);  // the reply takes its time: this is where a kill makes a duplicate
    co_return outcome;
  }
  asio::awaitable<void> close() override { co_return; }

 private:
  std::mt19937& random_;
};

class FakeTransport final : public Transport, public Router {
 public:
  explicit FakeTransport(std::mt19937& random) : random_(random) {}
  std::unique_ptr<Lane> lane(const std::string&, net::Loop&) override { return std::make_unique<FakeLane>(random_); }
  net::Task<std::string> destination(std::string address) override { co_return "mx:" + address.substr(address.find('@') + 1); }

 private:
  std::mt19937& random_;
};

asio::awaitable<void> take_mail(Queue& queue, std::mt19937& random, std::string prefix) {
  constexpr std::array kinds{"ok", "ok", "ok", "no", "later", "later", "dead"};
  for (int i = 0;; ++i) {
    NewMessage message;
    message.trace_id = prefix + std::to_string(i);
    message.sender = "sender@here.example";
    message.content = storage::make_blob(
        {}, storage::encode_chunks("Subject: " + message.trace_id + "\r\n\r\n" + std::string(random() % 3'000, 'x') + "\r\n"));
    std::string line = "accepted " + message.trace_id;
    for (auto n = 1 + random() % 4; n > 0; --n) {
      const std::string kind = kinds[random() % kinds.size()];
      // The dead have a server of their own: where one host hangs, the others there wait with it.
      const auto domain = (kind == "dead" ? "dead" : "d" + std::to_string(random() % 5)) + ".test";
      const auto address = kind + std::to_string(n) + "@" + domain;
      line += " " + address;
      message.recipients.push_back({.address = address, .given = {}, .original = {}, .notify = {}, .destination = "mx:" + domain});
    }
    const auto accepted = co_await queue.accept(std::move(message));
    if (!accepted) {
      std::fprintf(stderr, "accept: %s\n", accepted.error().detail.c_str());
      ::_exit(2);
    }
    say(std::move(line));
    co_await sleep_for(std::chrono::milliseconds(random() % 5));
  }
}

asio::awaitable<void> work(Queue& queue, net::Loop& loop, bool drain) {
  for (;;) {
    (void)queue.work(loop);
    if (drain && queue.messages() == 0 && queue.active() == 0) {
      say("empty");
      ::_exit(0);
    }
    co_await sleep_for(1ms);
  }
}

int run(const char* path, std::int64_t origin, const std::string& prefix, bool drain) {
  net::WorkerPool pool(1, 1'000);
  std::vector<std::unique_ptr<storage::Engine>> engines;
  for (const auto* name : {"q000", "q001"}) {
    storage::LmdbOptions options;
    options.path = std::filesystem::path(path) / name;
    options.pool = &pool;
    options.map_size = 1 << 30;
    options.min_free = 0;
    options.segment_size = 400'000;
    options.journal_size = 300'000;
    auto engine = storage::open_lmdb_engine(std::move(options));
    if (!engine) {
      std::fprintf(stderr, "open: %s\n", engine.error().detail.c_str());
      return 3;
    }
    engines.push_back(std::move(*engine));
  }
  FastClock clock(origin);
  std::mt19937 random(std::random_device{}());
  FakeTransport transport(random);
  Ledger ledger;
  net::Loop loop;
  QueueOptions options;
  options.delay_notice = 120s;
  options.lifetime = 400s;
  options.storage_pause = 1ms;
  const Rule rule{.retry = {.first = 20s, .longest = 60s, .factor = 2, .jitter = 0.2}};
  Queue queue({.shards = {engines[0].get(), engines[1].get()},
               .transport = transport,
               .router = transport,
               .store = nullptr,
               .trace = ledger,
               .clock = clock},
              options, Rules(rule, Rules::local_rule(), {}));
  if (const auto opened = queue.open(); !opened) {
    std::fprintf(stderr, "open: %s\n", opened.error().detail.c_str());
    return 3;
  }
  say("started");
  asio::co_spawn(loop.context(), work(queue, loop, drain), asio::detached);
  for (int i = 0; !drain && i < 4; ++i)
    asio::co_spawn(loop.context(), take_mail(queue, random, prefix + "-" + std::to_string(i) + "-"), asio::detached);
  loop.run();
  return 0;
}

}  // namespace
}  // namespace relais::smtp::queue::testing

int main(int argc, char** argv) {
  if (argc != 5) return 4;
  std::int64_t origin = 0;
  const std::string_view text = argv[2];
  std::from_chars(text.data(), text.data() + text.size(), origin);
  return relais::smtp::queue::testing::run(argv[1], origin, argv[3], std::string_view(argv[4]) == "drain");
}
