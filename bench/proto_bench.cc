// The parsers and writers of the three protocols: what a session spends on octets alone.
#include "base/number_set.h"
#include "bench/samples.h"
#include "imap/proto/command.h"
#include "imap/proto/fetch.h"
#include "imap/proto/framer.h"
#include "imap/proto/search.h"
#include "imap/proto/write.h"
#include "pop/proto/command.h"
#include "smtp/proto/command.h"
#include "smtp/proto/data.h"
#include "smtp/proto/line.h"
#include "smtp/proto/mail.h"
#include "smtp/proto/rcpt.h"

#include <benchmark/benchmark.h>

#include <string>

namespace relais::bench {
namespace {

void smtp_envelope(benchmark::State& state) {
  const std::string input = "MAIL FROM:<sender@example.org> SIZE=10240 BODY=8BITMIME\r\nRCPT TO:<user0001@example.test>\r\nDATA\r\n";
  for (auto _ : state) {
    smtp::LineFramer lines;
    std::string_view rest = input;
    while (!rest.empty()) {
      const auto step = lines.feed(rest);
      const auto command = smtp::parse_command(step.line);
      if (command.verb == smtp::Verb::mail) benchmark::DoNotOptimize(smtp::parse_mail(command.rest, {}));
      if (command.verb == smtp::Verb::rcpt) benchmark::DoNotOptimize(smtp::parse_rcpt(command.rest, false));
      rest.remove_prefix(step.used);
    }
  }
}
BENCHMARK(smtp_envelope);

void smtp_data(benchmark::State& state) {
  const auto content = sample_message(static_cast<std::size_t>(state.range(0))) + ".\r\n";
  std::string out;
  for (auto _ : state) {
    out.clear();
    smtp::DataFramer framer;
    framer.feed(content, [&](std::string_view piece) { out += piece; });
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(content.size()));
}
BENCHMARK(smtp_data)->Arg(10 << 10)->Arg(100 << 10);

void pop_command(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(pop::parse_command("RETR 12345"));
}
BENCHMARK(pop_command);

void imap_command(benchmark::State& state) {
  const std::string input = "a001 UID FETCH 1:1000,2000:* (FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (From To Subject)]) (CHANGEDSINCE 17)\r\n";
  imap::Framer framer;
  for (auto _ : state) {
    framer.feed(input);
    const auto tagged = imap::parse_tagged(framer.text());
    benchmark::DoNotOptimize(imap::parse_fetch(tagged->rest, tagged->uid));
    framer.next();
  }
}
BENCHMARK(imap_command);

void imap_search_command(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(imap::parse_search(" RETURN (MIN MAX) CHARSET UTF-8 UNSEEN SINCE 1-Feb-2026 OR FROM \"smith\" NOT (SUBJECT \"report\" LARGER 10000)"));
}
BENCHMARK(imap_search_command);

void imap_write_flags(benchmark::State& state) {
  const std::vector<std::string> keywords{"$Forwarded", "$Junk"};
  std::string out;
  for (auto _ : state) {
    out.clear();
    imap::append_flags(out, 0x09, keywords);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(imap_write_flags);

void imap_write_string(benchmark::State& state) {
  const std::string text = "A subject of the usual length, with \"quotes\" in it";
  std::string out;
  for (auto _ : state) {
    out.clear();
    imap::append_string(out, text);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(imap_write_string);

// A session's sequence numbers: a set with a hole in every hundred UIDs.
void number_set_lookup(benchmark::State& state) {
  NumberSet set;
  for (std::uint32_t uid = 1; uid < 1'000'000; uid += 100) set.add(NumberRange{uid, uid + 98});
  std::uint32_t uid = 1;
  for (auto _ : state) {
    benchmark::DoNotOptimize(set.contains(uid));
    uid = uid * 1'664'525U + 1'013'904'223U;
    uid %= 1'000'000;
  }
}
BENCHMARK(number_set_lookup);

}  // namespace
}  // namespace relais::bench

BENCHMARK_MAIN();
