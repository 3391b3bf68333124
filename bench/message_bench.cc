// What a message costs once at delivery: header fields, MIME structure, summary, compression.
#include "bench/samples.h"
#include "message/address.h"
#include "message/date.h"
#include "message/envelope.h"
#include "message/header.h"
#include "message/mime.h"
#include "message/summary.h"
#include "storage/blob.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace relais::bench {
namespace {

void octets_per_second(benchmark::State& state, std::size_t octets) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(octets));
}

void message_structure(benchmark::State& state) {
  const auto message = sample_message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(message::parse_structure(message));
  octets_per_second(state, message.size());
}
BENCHMARK(message_structure)->Arg(1 << 10)->Arg(10 << 10)->Arg(100 << 10);

// Nested as deep as the parser follows, and beyond.
void message_structure_deep(benchmark::State& state) {
  std::string message;
  for (int depth = 0; depth < state.range(0); ++depth) {
    const auto boundary = "b" + std::to_string(depth);
    message += "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n";
  }
  message += "\r\ntext\r\n";
  for (auto _ : state) benchmark::DoNotOptimize(message::parse_structure(message));
  octets_per_second(state, message.size());
}
BENCHMARK(message_structure_deep)->Arg(10)->Arg(1'000);

void message_summary(benchmark::State& state) {
  const auto message = sample_message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(message::summarize(message));
  octets_per_second(state, message.size());
}
BENCHMARK(message_summary)->Arg(1 << 10)->Arg(10 << 10)->Arg(100 << 10);

void message_envelope(benchmark::State& state) {
  const auto message = sample_message(4096);
  const auto header = std::string_view(message).substr(0, message::header_end(message));
  std::string out;
  for (auto _ : state) {
    out.clear();
    message::WireBudget budget(message::kMaxWireText);
    message::append_envelope(out, header, budget);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(message_envelope);

void message_select_fields(benchmark::State& state) {
  const auto message = sample_message(4096);
  const auto header = std::string_view(message).substr(0, message::header_end(message));
  const std::vector<std::string> names{"FROM", "TO", "CC", "SUBJECT", "DATE", "MESSAGE-ID", "REFERENCES", "IN-REPLY-TO", "CONTENT-TYPE"};
  const message::FieldSelector fields(names, false);
  std::string out;
  for (auto _ : state) {
    out.clear();
    fields.append(out, header);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(message_select_fields);

void message_address_list(benchmark::State& state) {
  std::string list;
  for (int i = 0; i < 100; ++i) list += (i == 0 ? "" : ", ") + std::string("\"User, Number ") + std::to_string(i) + "\" <user" + std::to_string(i) + "@example.org>";
  for (auto _ : state) benchmark::DoNotOptimize(message::parse_address_list(list));
  octets_per_second(state, list.size());
}
BENCHMARK(message_address_list);

void message_date(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(message::parse_date("Mon, 5 Jan 2026 10:00:00 +0100"));
}
BENCHMARK(message_date);

void blob_encode(benchmark::State& state) {
  const auto message = sample_message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(storage::encode_chunks(message));
  octets_per_second(state, message.size());
}
BENCHMARK(blob_encode)->Arg(1 << 10)->Arg(10 << 10)->Arg(100 << 10);

void blob_decode(benchmark::State& state) {
  const auto message = sample_message(static_cast<std::size_t>(state.range(0)));
  const auto chunks = storage::encode_chunks(message);
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const auto& chunk : *chunks) {
      if (!storage::decode_chunk(chunk.info, chunk.octets, 0, chunk.info.raw_size, out)) state.SkipWithError("does not decode");
    }
  }
  octets_per_second(state, message.size());
}
BENCHMARK(blob_decode)->Arg(1 << 10)->Arg(10 << 10)->Arg(100 << 10);

}  // namespace
}  // namespace relais::bench

BENCHMARK_MAIN();
