// Healthy destinations beside dead and slow ones: how long their mail takes, against a run without the sick ones; and the queue's memory.
//
// Usage: queue_fairness [KEY=VALUE…]: messages=100000 seconds=100 (over which they come in) destinations=200 dead=20 slow=20 reply_ms=2000
// (of a slow one) dir=/tmp. Prints a line of JSON per run. Exit status 1 where a healthy destination's message has not arrived.
//
// Three processes per run: servers scripted on 127/8, the queue with its engines and its connections to them, and the one that watches. A
// dead destination refuses connections, never completes them (its backlog is full), or takes them and says nothing.
#include "net/fake_resolver.h"
#include "net/loop.h"
#include "net/worker_pool.h"
#include "smtp/outbound/hosts.h"
#include "smtp/queue/attempt.h"
#include "smtp/queue/queue.h"
#include "storage/blob.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace relais::smtp::queue {
namespace {

namespace asio = net::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

constexpr std::uint32_t kMostMessages = 1'000'000;
constexpr std::uint32_t kMostDestinations = 1'000;
constexpr milliseconds kTick{5};                // between arrivals
constexpr std::chrono::seconds kPatience{300};  // after the last arrival, for what has not come through

struct Options {
  std::uint32_t messages = 100'000;
  std::uint32_t seconds = 100;
  std::uint32_t destinations = 200;
  std::uint32_t dead = 20;
  std::uint32_t slow = 20;
  std::uint32_t reply_ms = 2'000;
  std::string dir = "/tmp";
};

std::int64_t microseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What the processes of a run share. All times are those of the machine's steady clock, in microseconds; 0: not yet.
struct Board {
  std::atomic<std::int64_t> handed_in[kMostMessages];
  std::atomic<std::int64_t> taken[kMostMessages];
  std::atomic<std::uint16_t> ports[kMostDestinations];
  std::atomic<std::uint32_t> healthy_taken;
  std::atomic<std::uint32_t> sick_taken;
  std::atomic<std::uint32_t> repeated;
  std::atomic<bool> listening;
  std::atomic<bool> accepted;
};

enum class Kind : std::uint8_t { healthy, slow, refusing, unreachable, silent };

Kind kind_of(const Options& options, std::uint32_t destination) {
  if (destination >= options.dead + options.slow) return Kind::healthy;
  if (destination >= options.dead) return Kind::slow;
  constexpr Kind kDead[] = {Kind::refusing, Kind::unreachable, Kind::silent};
  return kDead[destination % 3];
}

std::string address_of(std::uint32_t destination) {
  return "127.8." + std::to_string(destination / 250) + "." + std::to_string(destination % 250 + 1);
}

// ---- the servers

class Servers {
 public:
  Servers(const Options& options, Board& board) : options_(options), board_(board) {}

  [[noreturn]] void run() {
    for (std::uint32_t i = 0; i < options_.destinations; ++i) open(i);
    board_.listening = true;
    context_.run();
    std::_Exit(0);
  }

 private:
  void open(std::uint32_t destination) {
    const auto kind = kind_of(options_, destination);
    auto& acceptor = acceptors_.emplace_back(context_);
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::make_address_v4(address_of(destination)), 0});
    board_.ports[destination] = acceptor.local_endpoint().port();
    if (kind == Kind::refusing) return;
    acceptor.listen(kind == Kind::unreachable ? 0 : 1'024);
    if (kind != Kind::unreachable) {
      asio::co_spawn(context_, listen(acceptor, kind), asio::detached);
      return;
    }
    for (int i = 0; i < 2; ++i) {  // fills the backlog, so that the kernel drops every further one's first segment
      auto& filler = fillers_.emplace_back(context_);
      filler.async_connect(acceptor.local_endpoint(), [](const boost::system::error_code&) {});
    }
  }

  asio::awaitable<void> listen(tcp::acceptor& acceptor, Kind kind) {
    for (;;) {
      boost::system::error_code failed;
      auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failed));
      if (failed) continue;
      if (kind == Kind::silent) {
        silent_.push_back(std::move(socket));
      } else {
        asio::co_spawn(context_, serve(std::move(socket), kind), asio::detached);
      }
    }
  }

  asio::awaitable<bool> answer(tcp::socket& socket, Kind kind, std::string_view text) {
    boost::system::error_code failed;
    if (kind == Kind::slow) {
      asio::steady_timer timer(context_, milliseconds(options_.reply_ms));
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, failed));
    }
    co_await asio::async_write(socket, asio::buffer(text), asio::redirect_error(asio::use_awaitable, failed));
    co_return !failed;
  }

  void take(std::string_view recipient, Kind kind) {
    const auto id = static_cast<std::size_t>(std::strtoul(std::string(recipient).c_str(), nullptr, 10));
    if (id >= kMostMessages) return;
    if (board_.taken[id].exchange(microseconds()) != 0) {
      ++board_.repeated;
      return;
    }
    ++(kind == Kind::healthy ? board_.healthy_taken : board_.sick_taken);
  }

  asio::awaitable<void> serve(tcp::socket socket, Kind kind) {
    socket.set_option(tcp::no_delay(true));
    std::string buffer;
    std::string recipient;
    bool content = false;
    if (!co_await answer(socket, kind, "220 server.test ESMTP\r\n")) co_return;
    for (;;) {
      boost::system::error_code failed;
      const std::string_view end = content ? "\r\n.\r\n" : "\r\n";
      const auto size =
          co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer), end, asio::redirect_error(asio::use_awaitable, failed));
      if (failed) co_return;
      const auto line = buffer.substr(0, content ? 0 : size);
      buffer.erase(0, size);
      std::string_view reply = "250 2.0.0 ok\r\n";
      if (content) {
        take(recipient, kind);
        content = false;
      } else if (line.starts_with("EHLO")) {
        reply = "250-server.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n";
      } else if (line.starts_with("RCPT")) {
        recipient = line.substr(line.find('<') + 1);
      } else if (line.starts_with("DATA")) {
        content = true;
        reply = "354 go on\r\n";
      } else if (line.starts_with("QUIT")) {
        reply = "221 2.0.0 bye\r\n";
      }
      if (!co_await answer(socket, kind, reply)) co_return;
    }
  }

  const Options& options_;
  Board& board_;
  asio::io_context context_{1};
  std::deque<tcp::acceptor> acceptors_;
  std::deque<tcp::socket> fillers_;
  std::vector<tcp::socket> silent_;
};

// ---- the queue

class NoReports final : public Router {
 public:
  net::Task<std::string> destination(std::string) override { co_return fail(Fault::refused, "nobody is told", "5.1.1"); }
};

class Load {
 public:
  Load(const Options& options, Board& board, bool with_sick)
      : options_(options), board_(board), with_sick_(with_sick), expected_(expected()) {}

  [[noreturn]] void run(const std::filesystem::path& path) {
    auto shards = open_queue_shards({.path = path, .shards = 2, .pool = &pool_});
    if (!shards) die(shards.error().detail);
    std::vector<storage::Engine*> engines;
    for (const auto& shard : *shards) engines.push_back(shard.get());
    Outbound outbound(resolver_, {});
    const LegacyPlatforms legacy;
    RemoteTransport transport(
        std::make_shared<const Dialer>(Dialer{.outbound = outbound, .legacy = legacy, .workers = &pool_, .hostname = "queue.test"}));
    NoReports router;
    Queue queue(QueueParts{.shards = engines, .transport = transport, .router = router}, {});
    if (const auto opened = queue.open(); !opened) die(opened.error().detail);
    net::LoopPool loops(0);
    loops.start();
    queue.start(loops);
    asio::co_spawn(loops.next().context(), arrivals(queue, loops), asio::detached);
    while (true) ::pause();
  }

 private:
  [[noreturn]] static void die(const std::string& why) {
    std::fprintf(stderr, "queue_fairness: %s\n", why.c_str());
    std::_Exit(1);
  }

  asio::awaitable<void> hand_in(Queue& queue, std::uint32_t id) {
    const auto destination = id % options_.destinations;
    NewMessage message;
    message.trace_id = "m" + std::to_string(id);
    message.sender = "ada@here.test";
    message.content = content_;
    message.recipients.push_back({.address = std::to_string(id) + "@d" + std::to_string(destination) + ".test",
                                  .destination = "smtp:" + address_of(destination) + ":" + std::to_string(board_.ports[destination])});
    board_.handed_in[id] = microseconds();
    const auto done = co_await queue.accept(std::move(message));
    if (!done) die(done.error().text + " " + done.error().detail);
    if (accepted_.fetch_add(1) + 1 == expected_) board_.accepted = true;
  }

  std::uint32_t expected() const {
    std::uint32_t count = 0;
    for (std::uint32_t id = 0; id < options_.messages; ++id) count += wanted(id) ? 1 : 0;
    return count;
  }
  // Without the sick ones the healthy ones' mail comes at the same times.
  bool wanted(std::uint32_t id) const { return with_sick_ || kind_of(options_, id % options_.destinations) == Kind::healthy; }

  asio::awaitable<void> arrivals(Queue& queue, net::LoopPool& loops) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const auto begin = std::chrono::steady_clock::now();
    const auto over = std::chrono::duration<double>(std::max(options_.seconds, 1U));
    for (std::uint32_t id = 0; id < options_.messages;) {
      const auto passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin) / over;
      const auto until = std::min<std::uint32_t>(options_.messages, static_cast<std::uint32_t>(passed * options_.messages) + 1);
      for (; id < until; ++id) {
        if (wanted(id)) asio::co_spawn(loops.next().context(), hand_in(queue, id), asio::detached);
      }
      timer.expires_after(kTick);
      boost::system::error_code cancelled;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
  }

  const Options& options_;
  Board& board_;
  const bool with_sick_;
  const std::uint32_t expected_;
  std::atomic<std::uint32_t> accepted_{0};
  net::WorkerPool pool_{2, 1'000};
  net::FakeResolver resolver_;
  const std::shared_ptr<const storage::EncodedBlob> content_ =
      storage::make_blob("Received: from bench\r\n", storage::encode_chunks("Subject: x\r\n\r\n" + std::string(4'000, 'x') + "\r\n"));
};

// ---- the one that watches

/// Memory of the process's own: what it has mapped of its files is the kernel's to take back.
std::uint64_t own_kb(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  std::uint64_t shared = 0;
  file >> size >> resident >> shared;
  return (resident - std::min(shared, resident)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1'024;
}

/// A child process that is no more at the end of the scope.
class Child {
 public:
  template <class F>
  explicit Child(F body) : process_(::fork()) {
    if (process_ < 0) throw std::runtime_error("fork");
    if (process_ == 0) body();
  }
  ~Child() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  pid_t id() const noexcept { return process_; }
  bool alive() const { return ::waitpid(process_, nullptr, WNOHANG) == 0; }

 private:
  const pid_t process_;
};

Board& fresh_board() {
  auto* at = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::runtime_error("mmap");
  return *new (at) Board;
}

/// @return whether all mail for healthy destinations has arrived, each once
bool run(const Options& options, bool with_sick) {
  auto& board = fresh_board();
  std::string path = (std::filesystem::path(options.dir) / "relais-fairness-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp in " + options.dir);
  std::vector<std::uint64_t> own;
  std::uint32_t healthy = 0;
  for (std::uint32_t id = 0; id < options.messages; ++id) healthy += kind_of(options, id % options.destinations) == Kind::healthy ? 1 : 0;
  {
    const Child servers([&] { Servers(options, board).run(); });
    while (!board.listening && servers.alive()) std::this_thread::sleep_for(milliseconds(1));
    const Child queue([&] { Load(options, board, with_sick).run(path); });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds) + kPatience;
    while (queue.alive() && servers.alive() && (board.healthy_taken < healthy || !board.accepted) &&
           std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      own.push_back(own_kb(queue.id()));
    }
  }
  std::filesystem::remove_all(path);
  std::vector<std::int64_t> delays;
  for (std::uint32_t id = 0; id < options.messages; ++id) {
    if (kind_of(options, id % options.destinations) != Kind::healthy || board.taken[id] == 0) continue;
    delays.push_back(board.taken[id] - board.handed_in[id]);
  }
  std::ranges::sort(delays);
  const auto at = [&delays](double share) {
    return delays.empty() ? 0.0
                          : static_cast<double>(delays[static_cast<std::size_t>(share * static_cast<double>(delays.size() - 1))]) / 1'000.0;
  };
  std::printf(
      R"({"suite":"fairness","sick":%s,"healthy":%u,"arrived":%zu,"slow_arrived":%u,"repeated":%u,"p50_ms":%.2f,"p90_ms":%.2f,"p99_ms":%.2f,"max_ms":%.2f,"own_kb":[)",
      with_sick ? "true" : "false", healthy, delays.size(), board.sick_taken.load(), board.repeated.load(), at(0.5), at(0.9), at(0.99),
      at(1.0));
  const auto step = std::max<std::size_t>(1, own.size() / 20);
  for (std::size_t i = 0; i < own.size(); i += step) std::printf("%s%llu", i == 0 ? "" : ",", static_cast<unsigned long long>(own[i]));
  std::printf("]}\n");
  std::fflush(stdout);
  const bool good = delays.size() == healthy && board.repeated == 0;
  ::munmap(&board, sizeof(Board));
  return good;
}

std::optional<Options> parse(std::span<char*> arguments) {
  Options options;
  const std::map<std::string_view, std::uint32_t*> numbers{
      {"messages", &options.messages}, {"seconds", &options.seconds}, {"destinations", &options.destinations},
      {"dead", &options.dead},         {"slow", &options.slow},       {"reply_ms", &options.reply_ms}};
  for (const std::string_view argument : arguments) {
    const auto equals = argument.find('=');
    const auto value = std::string(equals == std::string_view::npos ? "" : argument.substr(equals + 1));
    const auto number = numbers.find(argument.substr(0, equals));
    if (number != numbers.end() && !value.empty()) {
      *number->second = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    } else if (argument.starts_with("dir=")) {
      options.dir = value;
    } else {
      return std::nullopt;
    }
  }
  const bool fits =
      options.messages <= kMostMessages && options.destinations <= kMostDestinations && options.dead + options.slow < options.destinations;
  return fits ? std::optional(options) : std::nullopt;
}

int main_of(std::span<char*> arguments) {
  const auto options = parse(arguments);
  if (!options) {
    std::fprintf(stderr, "queue_fairness: messages=N seconds=S destinations=N dead=N slow=N reply_ms=MS dir=DIR\n");
    return 2;
  }
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
  }
  const bool alone = run(*options, false);
  const bool beside = run(*options, true);
  return alone && beside ? 0 : 1;
}

}  // namespace
}  // namespace relais::smtp::queue

int main(int count, char** arguments) {
  return relais::smtp::queue::main_of(std::span(arguments, static_cast<std::size_t>(count)).subspan(1));
}
