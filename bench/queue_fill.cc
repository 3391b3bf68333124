// Puts messages into a platform's queue, so that its start with many can be measured.
//
// Usage: queue_fill DATA SHARDS MESSAGES DESTINATION…: DATA is the platform's data folder, a destination as `relais queue destinations`
// shows it and the domain whose mail goes there: "smtp:127.0.0.1:2525=d0.test". Messages of 1 KB, in turns over the destinations. No
// platform may be running on DATA.
#include "net/loop.h"
#include "net/worker_pool.h"
#include "smtp/queue/queue.h"
#include "storage/blob.h"

#include <boost/asio/co_spawn.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace relais::smtp::queue {
namespace {

constexpr std::uint64_t kAtOnce = 256;  // share commits

/// Never started, so never asked.
class Nowhere final : public Transport, public Router {
 public:
  std::unique_ptr<Lane> lane(const std::string&, net::Loop&) override { return nullptr; }
  net::Task<std::string> destination(std::string) override { co_return fail(Fault::refused, "nobody is told", "5.1.1"); }
};

struct Way {
  std::string destination;
  std::string domain;
};

struct Filling {
  Queue& queue;
  std::vector<Way> ways;
  std::uint64_t messages = 0;
  std::shared_ptr<const storage::EncodedBlob> content;
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> writers{0};
};

net::asio::awaitable<void> write(Filling& filling) {
  for (;;) {
    const auto i = filling.next.fetch_add(1);
    if (i >= filling.messages) break;
    const auto& way = filling.ways[i % filling.ways.size()];
    NewMessage message;
    message.trace_id = "fill" + std::to_string(i);
    message.sender = "ada@here.test";
    message.content = filling.content;
    message.recipients.push_back({.address = "u" + std::to_string(i) + "@" + way.domain, .destination = way.destination});
    if (const auto done = co_await filling.queue.accept(std::move(message)); !done) {
      std::fprintf(stderr, "queue_fill: %s %s\n", done.error().text.c_str(), done.error().detail.c_str());
      std::_Exit(1);
    }
  }
  filling.writers.fetch_sub(1);
}

int fill(const std::string& data, unsigned shards, std::uint64_t messages, std::vector<Way> ways) {
  net::WorkerPool pool{2, 1'000};
  auto opened = open_queue_shards({.path = data, .shards = shards, .pool = &pool});
  if (!opened) {
    std::fprintf(stderr, "queue_fill: %s %s\n", opened.error().text.c_str(), opened.error().detail.c_str());
    return 1;
  }
  std::vector<storage::Engine*> engines;
  for (const auto& engine : *opened) engines.push_back(engine.get());
  Nowhere nowhere;
  net::LoopPool loops(0);
  Queue queue(QueueParts{.shards = engines, .transport = nowhere, .router = nowhere}, {});
  if (!queue.open()) return 1;
  Filling filling{.queue = queue,
                  .ways = std::move(ways),
                  .messages = messages,
                  .content = storage::make_blob("Received: from bench\r\n",
                                                storage::encode_chunks("Subject: x\r\n\r\n" + std::string(1'000, 'x') + "\r\n"))};
  const auto began = std::chrono::steady_clock::now();
  filling.writers = kAtOnce;
  for (std::uint64_t i = 0; i < kAtOnce; ++i) {
    net::asio::co_spawn(loops.next().context(), write(filling), [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  }
  loops.start();
  while (filling.writers != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  (void)loops.shutdown(std::chrono::seconds(5));
  for (const auto& engine : *opened) engine->close();
  std::printf(R"({"messages":%llu,"seconds":%.2f})"
              "\n",
              static_cast<unsigned long long>(messages), took.count());
  return 0;
}

int main_of(std::span<char*> arguments) {
  std::vector<Way> ways;
  for (const std::string_view one : arguments.size() > 3 ? arguments.subspan(3) : std::span<char*>{}) {
    const auto equals = one.rfind('=');
    if (equals != std::string_view::npos) ways.push_back({std::string(one.substr(0, equals)), std::string(one.substr(equals + 1))});
  }
  if (ways.empty()) {
    std::fprintf(stderr, "queue_fill: DATA SHARDS MESSAGES DESTINATION=DOMAIN…\n");
    return 2;
  }
  return fill(arguments[0], static_cast<unsigned>(std::strtoul(arguments[1], nullptr, 10)), std::strtoull(arguments[2], nullptr, 10),
              std::move(ways));
}

}  // namespace
}  // namespace relais::smtp::queue

int main(int count, char** arguments) {
  return relais::smtp::queue::main_of(std::span(arguments, static_cast<std::size_t>(count)).subspan(1));
}
