// What a session asks the directory: look-ups of recipients and accounts, logins that are remembered, the keyed digest.
#include "directory/test_support.h"
#include "directory/verified_cache.h"

#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <string>

using namespace relais;
using namespace relais::directory;

namespace {

constexpr unsigned kAccounts = 10'000;

std::string address(unsigned n) { return "user" + std::to_string(n) + "@example.org"; }

TestDirectory& filled() {
  static TestDirectory d{{.default_domain = "example.org"}};
  static const bool done = [] {
    bool good = d.run(d->add_domain("example.org")).has_value();
    for (unsigned n = 0; n < kAccounts; ++n) good = good && d.run(d->import_account({address(n), "{PLAIN}secret", 0})).has_value();
    good = good && d.run(d->add_alias("info@example.org", {address(1), address(2), address(3)})).has_value();
    return good;
  }();
  if (!done) std::abort();
  return d;
}

/// One for all, and older than filled(): a worker may still be leaving it when the session that it resumed has ended.
net::asio::io_context& sessions() {
  static net::asio::io_context io;
  return io;
}

/// Runs the loop's body in a coroutine, as a session does: what is measured has no hand-over between threads.
template <class F>
void in_session(benchmark::State& state, F body) {
  auto& io = sessions();
  auto& d = filled();
  auto session = [&]() -> net::asio::awaitable<void> {
    unsigned n = 0;
    for (auto _ : state) {
      if (!co_await body(*d, n)) state.SkipWithError("refused");
      n = (n * 7919 + 1) % kAccounts;
    }
  };
  net::asio::co_spawn(io, session(), net::asio::detached);
  io.restart();
  io.run();
}

void resolve_account(benchmark::State& state) {
  in_session(state, [](Directory& d, unsigned n) -> net::asio::awaitable<bool> { co_return (co_await d.resolve(address(n)))->accounts.size() == 1; });
}
BENCHMARK(resolve_account);

void resolve_tagged(benchmark::State& state) {
  in_session(state, [](Directory& d, unsigned n) -> net::asio::awaitable<bool> {
    co_return (co_await d.resolve("user" + std::to_string(n) + "+tag@example.org"))->accounts.size() == 1;
  });
}
BENCHMARK(resolve_tagged);

void resolve_alias_of_three(benchmark::State& state) {
  in_session(state, [](Directory& d, unsigned) -> net::asio::awaitable<bool> { co_return (co_await d.resolve("info@example.org"))->accounts.size() == 3; });
}
BENCHMARK(resolve_alias_of_three);

void resolve_foreign(benchmark::State& state) {
  in_session(state, [](Directory& d, unsigned) -> net::asio::awaitable<bool> {
    co_return (co_await d.resolve("somebody@remote.example"))->kind == Recipient::Kind::not_local;
  });
}
BENCHMARK(resolve_foreign);

void login_remembered(benchmark::State& state) {
  in_session(state, [](Directory& d, unsigned n) -> net::asio::awaitable<bool> { co_return (co_await d.authenticate(address(n % 16), "secret")).has_value(); });
}
BENCHMARK(login_remembered);

void login_digest(benchmark::State& state) {
  const VerifiedCache cache(200'000, std::chrono::minutes(5), system_clock());
  for (auto _ : state) benchmark::DoNotOptimize(cache.digest(1, 1, "secret"));
}
BENCHMARK(login_digest);

void new_password(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(new_credential("secret", PasswordCost{}));
}
BENCHMARK(new_password)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
