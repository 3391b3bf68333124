// The mailbox model over the embedded engine: what a delivery, a SELECT, a FETCH and a resynchronisation cost in storage.
// RELAIS_BENCH_DIR names a folder on the disk to measure (default: the folder for temporary files).
#include "storage/import.h"
#include "storage/model/open_store.h"
#include "storage/model/sharded_store.h"
#include "storage/model/testing.h"

#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

namespace relais::storage {
namespace {

namespace asio = net::asio;
using testing::append_message;
using testing::await;

constexpr AccountRef kAccount{AccountId{1}, 0};

std::string message_of(std::size_t octets, unsigned number) {
  const auto n = std::to_string(number);
  std::string out =
      "Received: from client.example.net (client.example.net [192.0.2.7]) by mx.example.org with ESMTPS id " + n +
      "; Mon, 5 Jan 2026 10:00:00 +0100\r\nFrom: Alice Example <alice@example.net>\r\nTo: Bob Example <bob@example.org>, carol@example.org\r\n"
      "Subject: message number " + n + " of the benchmark\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <" + n +
      ".bench@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n"
      "--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain " + n + "\r\n--b1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n";
  std::uint32_t x = number * 2'654'435'761U + 1;
  while (out.size() + 80 < octets) {
    for (int i = 0; i < 9; ++i) {
      x = x * 1'664'525U + 1'013'904'223U;
      out += "word" + std::to_string(x >> 20) + " ";
    }
    out += "\r\n";
  }
  return out + "--b1--\r\n";
}

/// One platform for all benchmarks: filled mailboxes are made once, by count and message size.
class Platform {
 public:
  static Platform& get() {
    static Platform platform;
    return platform;
  }
  ShardedStore& store() { return *store_; }

  MailboxId mailbox(unsigned messages, std::size_t octets) {
    const auto name = "bench-" + std::to_string(messages) + "-" + std::to_string(octets);
    auto& id = mailboxes_[name];
    if (id != MailboxId{}) return id;
    std::vector<PreparedPtr> prepared;
    for (unsigned i = 0; i < 64; ++i) prepared.push_back(*await(store_->prepare(message_of(octets, i))));
    for (unsigned done = 0; done < messages;) {
      std::vector<AppendMessage> batch;
      for (; batch.size() < 500 && done < messages; ++done) {
        batch.push_back(append_message(prepared[done % prepared.size()]));
        batch.back().system_flags = kSeen;
      }
      id = await(store_->append(kAccount, name, std::move(batch), true, ""))->mailbox;
    }
    return id;
  }
  static std::string name(unsigned messages, std::size_t octets) { return "bench-" + std::to_string(messages) + "-" + std::to_string(octets); }

 private:
  Platform() {
    const char* folder = std::getenv("RELAIS_BENCH_DIR");
    std::string name = (folder != nullptr ? std::filesystem::path(folder) : std::filesystem::temp_directory_path()) / "relais-bench-XXXXXX";
    path_ = mkdtemp(name.data());
    StoreOptions options;
    options.path = path_;
    options.pool = &pool_;
    auto opened = open_store(std::move(options));
    if (!opened) {
      std::fprintf(stderr, "%s %s\n", opened.error().text.c_str(), opened.error().detail.c_str());
      std::exit(1);
    }
    store_ = std::move(*opened);
  }
  ~Platform() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path path_;
  net::WorkerPool pool_{1, 1'000};
  std::unique_ptr<ShardedStore> store_;
  std::map<std::string, MailboxId> mailboxes_;
};

void prepare(benchmark::State& state) {
  const auto octets = message_of(static_cast<std::size_t>(state.range(0)), 1);
  for (auto _ : state) benchmark::DoNotOptimize(await(Platform::get().store().prepare(octets)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(prepare)->Arg(10 * 1024);

// Durable appends of 10 KB messages, `range(0)` at a time, into a mailbox that holds range(1) already.
void append(benchmark::State& state) {
  auto& store = Platform::get().store();
  const auto parallel = static_cast<unsigned>(state.range(0));
  const auto messages = static_cast<unsigned>(state.range(1));
  const std::string name = messages == 0 ? "INBOX" : Platform::name(messages, 500);
  if (messages > 0) Platform::get().mailbox(messages, 500);
  const auto prepared = *await(store.prepare(message_of(10 * 1024, 1)));
  for (auto _ : state) {
    auto& io = testing::test_loop();
    for (unsigned i = 0; i < parallel; ++i) {
      auto deliver = [&]() -> asio::awaitable<void> {
        for (int n = 0; n < 32; ++n) {
          auto message = append_message(prepared);
          message.trace_header = "Return-Path: <a@example.net>\r\nDelivered-To: bob@example.org\r\n";
          auto done = co_await store.append(kAccount, name, {std::move(message)}, false, "");
          if (!done) std::abort();
        }
      };
      asio::co_spawn(io, std::move(deliver), asio::detached);
    }
    io.run();
    io.restart();
  }
  state.SetItemsProcessed(state.iterations() * parallel * 32);
}
BENCHMARK(append)->Args({1, 0})->Args({16, 0})->Args({64, 0})->Args({16, 1'000})->Args({16, 1'000'000})->UseRealTime()->Unit(benchmark::kMillisecond);

// What the mover does: batches of 1,000 × 10 KB with dictated UIDs, as one transaction each. range(0): 1 where the octets are prepared for
// each batch too, and digests read back and compared.
void import_batches(benchmark::State& state) {
  constexpr Uid kBatch = 1'000;
  auto& store = Platform::get().store();
  auto& import = store.importer();
  const AccountRef account{AccountId{static_cast<std::uint64_t>(100 + state.range(0))}, 0};
  if (!await(import.set_state(account, AccountState::open, AccountState::importing))) std::abort();
  const auto info = await(import.create(account, {.name = "INBOX", .uid_validity = 1}));
  if (!info) std::abort();
  std::vector<std::string> octets;
  std::vector<PreparedPtr> prepared;
  for (unsigned i = 0; i < 64; ++i) {
    octets.push_back(message_of(10 * 1024, i));
    prepared.push_back(*await(store.prepare(octets.back())));
  }
  auto uid = info->uid_next;
  for (auto _ : state) {
    std::vector<ImportedMessage> batch;
    NumberSet uids(NumberRange{uid, uid + kBatch - 1});
    for (Uid i = 0; i < kBatch; ++i, ++uid) {
      auto& message = batch.emplace_back();
      message.message = state.range(0) == 0 ? prepared[i % 64] : *await(store.prepare(octets[i % 64]));
      message.uid = uid;
      message.system_flags = kSeen;
      message.keywords = {"$Forwarded"};
      message.internal_date = 1'700'000'000;
      message.mod_seq = 1 + (uid * 7919) % 100'000;
    }
    if (!await(import.append(account, info->id, std::move(batch)))) std::abort();
    if (state.range(0) == 0) continue;
    const auto digests = await(import.digests(account, info->id, std::move(uids)));
    if (!digests || digests->size() != kBatch) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(import_batches)->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void fetch(benchmark::State& state, std::uint32_t fields, unsigned messages, std::size_t octets) {
  auto& store = Platform::get().store();
  const auto id = Platform::get().mailbox(messages, octets);
  const NumberSet all(NumberRange{1, UINT32_MAX});
  FetchBatch batch;
  for (auto _ : state) {
    FetchRequest request;
    request.uids = &all;
    request.fields = fields;
    do {
      if (!await(store.fetch(kAccount, id, request, batch))) std::abort();
      request.first = batch.next;
    } while (batch.next != 0);
  }
  state.SetItemsProcessed(state.iterations() * messages);
}
BENCHMARK_CAPTURE(fetch, flags_100k, kFetchFlags, 100'000, 500)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(fetch, envelope_100k, kFetchFlags | kFetchMeta | kFetchEnvelope | kFetchBodyStructure, 100'000, 500)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(fetch, header_fields_100k, kFetchFlags | kFetchHeaderFields, 100'000, 500)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(fetch, content_4k, kFetchFlags | kFetchContent, 5'000, 4'096)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(fetch, content_10k, kFetchFlags | kFetchContent, 5'000, 10'240)->Unit(benchmark::kMillisecond);

// A page of 50 in the middle.
void fetch_page(benchmark::State& state) {
  auto& store = Platform::get().store();
  const auto messages = static_cast<unsigned>(state.range(0));
  const auto id = Platform::get().mailbox(messages, 500);
  const NumberSet page(NumberRange{messages / 2, messages / 2 + 49});
  FetchBatch batch;
  FetchRequest request;
  request.uids = &page;
  request.fields = kFetchFlags | kFetchMeta | kFetchEnvelope | kFetchBodyStructure;
  for (auto _ : state) {
    if (!await(store.fetch(kAccount, id, request, batch)) || batch.messages.size() != 50) std::abort();
  }
}
BENCHMARK(fetch_page)->Arg(1'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void open_mailbox(benchmark::State& state) {
  auto& store = Platform::get().store();
  const auto messages = static_cast<unsigned>(state.range(0));
  Platform::get().mailbox(messages, 500);
  const auto name = Platform::name(messages, 500);
  for (auto _ : state) {
    if (!await(store.open(kAccount, name, true))) std::abort();
  }
}
BENCHMARK(open_mailbox)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

// 100 of 100,000 have changed.
void changes(benchmark::State& state) {
  auto& store = Platform::get().store();
  const auto id = Platform::get().mailbox(100'000, 500);
  const auto since = await(store.changes(kAccount, id, 0, false))->highest_mod_seq;
  StoreFlagsRequest request;
  for (Uid uid = 500; uid <= 100'000; uid += 1'000) request.uids.add(uid);
  for (const auto operation : {FlagOperation::remove, FlagOperation::add}) {
    request.operation = operation;
    request.system_flags = kFlagged;
    if (!await(store.store_flags(kAccount, id, request))) std::abort();
  }
  for (auto _ : state) {
    const auto changed = await(store.changes(kAccount, id, since, true));
    if (!changed || changed->changed.size() != 100) std::abort();
  }
  request.operation = FlagOperation::remove;
  if (!await(store.store_flags(kAccount, id, request))) std::abort();
}
BENCHMARK(changes)->Unit(benchmark::kMicrosecond);

void store_flags(benchmark::State& state) {
  auto& store = Platform::get().store();
  const auto id = Platform::get().mailbox(100'000, 500);
  StoreFlagsRequest request;
  request.uids = NumberSet(NumberRange{1, static_cast<std::uint32_t>(state.range(0))});
  request.system_flags = kAnswered;
  for (auto _ : state) {
    request.operation = request.operation == FlagOperation::add ? FlagOperation::remove : FlagOperation::add;
    if (!await(store.store_flags(kAccount, id, request))) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(store_flags)->Arg(1)->Arg(100'000)->UseRealTime()->Unit(benchmark::kMicrosecond);

// 10,000 messages to and fro.
void move(benchmark::State& state) {
  auto& store = Platform::get().store();
  const auto from = Platform::get().mailbox(10'000, 500);
  const auto to = Platform::get().mailbox(1'000, 500);
  const NumberSet all(NumberRange{1, UINT32_MAX});
  for (auto _ : state) {
    const auto there = await(store.move(kAccount, from, all, Platform::name(1'000, 500)));
    if (!there) std::abort();
    NumberSet back;
    for (const auto uid : there->to) back.add(uid);
    if (!await(store.move(kAccount, to, back, Platform::name(10'000, 500)))) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * 20'000);
}
BENCHMARK(move)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace relais::storage

BENCHMARK_MAIN();
