// Measures net/ alone: memory per idle connection, round trips, and connections a second, plain and with TLS.
//   net_load [--tls] [--connections N]      prints one line per figure
// Server and client share the process's loopback; memory is the server's, in a process of its own.
#include "net/listener.h"
#include "net/test_support.h"
#include "net/tls.h"

#include <boost/asio/use_future.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace relais;
using namespace relais::net;
using Clock = std::chrono::steady_clock;

struct Options {
  bool tls = false;
  int connections = 5000;
};

// The least a session does: wait for a command, answer it.
asio::awaitable<void> echo(std::unique_ptr<Connection> connection) {
  for (;;) {
    if (!co_await connection->fill(in(std::chrono::minutes(30)), Awaiting::command)) co_return;
    connection->queue(connection->buffered());
    connection->consume(connection->buffered().size());
    if (!co_await connection->flush(in(std::chrono::minutes(1)))) co_return;
  }
}

long resident_kb() {
  std::ifstream status("/proc/self/smaps_rollup");
  std::string word;
  while (status >> word)
    if (word == "Pss:") {
      long kb = 0;
      status >> kb;
      return kb;
    }
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The server process: says its port, then answers each octet of its input with memory and CPU time.
int serve(const Options& options, int commands, int answers) {
  ListenerOptions listener;
  listener.max_per_address = 1'000'000;
  const TestCertificate files({"localhost"});
  if (options.tls) listener.implicit_tls = TlsContext::server({{files.certificate(), files.key()}}).value();
  TestServer server(echo, listener, 1);
  const auto say = [answers](auto value) { return ::write(answers, &value, sizeof value) == sizeof value; };
  if (!say(server.port())) return 1;
  char command = 0;
  while (::read(commands, &command, 1) == 1) {
    if (command == 't') ::malloc_trim(0);
    if (!say(resident_kb()) || !say(cpu_seconds())) return 1;
  }
  return 0;
}

struct Usage {
  long kb = 0;
  double cpu = 0;
};

class Server {
 public:
  explicit Server(const Options& options) {
    int to[2];
    int from[2];
    if (::pipe(to) != 0 || ::pipe(from) != 0) std::abort();
    child_ = ::fork();
    if (child_ == 0) {
      ::close(to[1]);
      ::close(from[0]);
      std::exit(serve(options, to[0], from[1]));
    }
    ::close(to[0]);
    ::close(from[1]);
    commands_ = to[1];
    answers_ = from[0];
    get(port_);
  }
  ~Server() {
    ::close(commands_);
    ::waitpid(child_, nullptr, 0);
  }
  std::uint16_t port() const { return port_; }
  Usage usage(char command = 'u') {
    if (::write(commands_, &command, 1) != 1) std::abort();
    Usage usage;
    get(usage.kb);
    get(usage.cpu);
    return usage;
  }

 private:
  template <class T>
  void get(T& value) {
    if (::read(answers_, &value, sizeof value) != sizeof value) std::abort();
  }
  pid_t child_ = 0;
  int commands_ = -1;
  int answers_ = -1;
  std::uint16_t port_ = 0;
};

class Client {
 public:
  explicit Client(const Options& options, std::uint16_t port) : options_(options), port_(port) {
    context_ = TlsContext::client("", false).value();
    loops_.start();
  }
  Loop& loop() { return loops_.at(0); }
  Task<std::unique_ptr<Connection>> open() {
    auto connection = std::move(co_await connect(loop(), "127.0.0.1", port_, in(kSoon))).value();
    if (options_.tls) RELAIS_CO_TRY_VOID(co_await connection->start_tls_client(*context_, "localhost", in(kSoon)));
    RELAIS_CO_TRY_VOID(co_await exchange(*connection, "x"));
    co_return connection;
  }

 private:
  const Options& options_;
  std::uint16_t port_;
  std::shared_ptr<TlsContext> context_;
  LoopPool loops_{1};
};

void print(const char* what, double value, const char* unit) { std::printf("%-40s %12.2f %s\n", what, value, unit); }

int measure(const Options& options) {
  Server server(options);
  Client client(options, server.port());
  const std::string kind = options.tls ? "TLS" : "plain";
  std::vector<std::unique_ptr<Connection>> connections;
  const auto open_many = [&](int n) -> asio::awaitable<void> {
    for (int i = 0; i < n; ++i) connections.push_back(std::move(co_await client.open()).value());
  };
  run_on(client.loop(), open_many(100));  // what is allocated once
  const auto before = server.usage();
  run_on(client.loop(), open_many(options.connections));
  const auto after = server.usage();
  print((kind + ": server memory per idle connection").c_str(), 1024.0 * static_cast<double>(after.kb - before.kb) / options.connections, "octets");
  const auto drop = [&]() -> asio::awaitable<void> {
    connections.clear();
    co_return;
  };
  run_on(client.loop(), drop());

  const auto ping = [&](int rounds) -> asio::awaitable<void> {
    auto connection = std::move(co_await client.open()).value();
    for (int i = 0; i < rounds; ++i)
      if (!co_await exchange(*connection, "0123456789abcdef")) std::abort();
  };
  const auto many = [&](int width, int rounds) {
    const auto cpu = server.usage().cpu;
    const auto start = Clock::now();
    std::vector<std::future<void>> running;
    for (int i = 0; i < width; ++i) running.push_back(asio::co_spawn(client.loop().context(), ping(rounds), asio::use_future));
    for (auto& one : running) one.get();
    const auto seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const auto total = static_cast<double>(width) * rounds;
    print((kind + ": round trips/s, " + std::to_string(width) + " at a time").c_str(), total / seconds, "/s");
    print((kind + ": server CPU per round trip").c_str(), 1e6 * (server.usage().cpu - cpu) / total, "us");
  };
  many(1, 20'000);
  many(64, 2'000);

  const auto churn = [&](int rounds) -> asio::awaitable<void> {
    for (int i = 0; i < rounds; ++i) static_cast<void>(co_await client.open());
  };
  const int rounds = options.tls ? 50 : 1000;
  const auto cpu = server.usage().cpu;
  const auto start = Clock::now();
  std::vector<std::future<void>> running;
  for (int i = 0; i < 16; ++i) running.push_back(asio::co_spawn(client.loop().context(), churn(rounds), asio::use_future));
  for (auto& one : running) one.get();
  const auto seconds = std::chrono::duration<double>(Clock::now() - start).count();
  print((kind + ": connect + one exchange + close").c_str(), 16.0 * rounds / seconds, "/s");
  print((kind + ": server CPU per connection").c_str(), 1e6 * (server.usage().cpu - cpu) / (16.0 * rounds), "us");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--tls") == 0)
      options.tls = true;
    else if (std::strcmp(argv[i], "--connections") == 0 && i + 1 < argc)
      options.connections = std::atoi(argv[++i]);
    else {
      std::fprintf(stderr, "usage: %s [--tls] [--connections N]\n", argv[0]);
      return 2;
    }
  }
  return measure(options);
}
