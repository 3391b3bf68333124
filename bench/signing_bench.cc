// What signing costs a message: DKIM with each kind of key, ARC, reports, rewritten senders.
#include "antispam/arc_seal.h"
#include "antispam/dkim_canonical.h"
#include "antispam/dkim_crypto.h"
#include "antispam/dkim_keys.h"
#include "antispam/sending_limits.h"
#include "bench/samples.h"
#include "message/delivery_status.h"
#include "message/header.h"
#include "message/srs.h"
#include "message/submission.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace relais::bench {
namespace {

using antispam::DkimKey;

const DkimKey& key(DkimKey::Algorithm algorithm) {
  static const auto rsa = antispam::make_dkim_key("example.org", "r1", DkimKey::Algorithm::rsa_sha256, DkimKey::State::active, 0).value();
  static const auto edwards =
      antispam::make_dkim_key("example.org", "e1", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::active, 0).value();
  return algorithm == DkimKey::Algorithm::rsa_sha256 ? rsa : edwards;
}

void sign(benchmark::State& state, const std::vector<DkimKey>& keys) {
  const auto message = sample_message(static_cast<std::size_t>(state.range(0)));
  const auto end = message::header_end(message);
  const std::string_view body[] = {std::string_view(message).substr(end)};
  const antispam::MessageView view{std::string_view(message).substr(0, end), body};
  for (auto _ : state) {
    auto fields = antispam::dkim_sign(keys, view);
    if (!fields || fields->empty()) state.SkipWithError("not signed");
    benchmark::DoNotOptimize(fields);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(message.size()));
}

void dkim_sign_rsa(benchmark::State& state) { sign(state, {key(DkimKey::Algorithm::rsa_sha256)}); }
void dkim_sign_ed25519(benchmark::State& state) { sign(state, {key(DkimKey::Algorithm::ed25519_sha256)}); }
void dkim_sign_both(benchmark::State& state) {
  sign(state, {key(DkimKey::Algorithm::rsa_sha256), key(DkimKey::Algorithm::ed25519_sha256)});
}
BENCHMARK(dkim_sign_rsa)->Arg(1 << 10)->Arg(10 << 10)->Arg(1 << 20);
BENCHMARK(dkim_sign_ed25519)->Arg(1 << 10)->Arg(10 << 10)->Arg(1 << 20);
BENCHMARK(dkim_sign_both)->Arg(10 << 10);

void dkim_body_hash(benchmark::State& state) {
  const auto message = sample_message(static_cast<std::size_t>(state.range(0)));
  const std::string_view body[] = {message};
  for (auto _ : state) benchmark::DoNotOptimize(antispam::body_hash(antispam::Canonical::relaxed, body));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(message.size()));
}
BENCHMARK(dkim_body_hash)->Arg(10 << 10)->Arg(1 << 20);

void read_private_key(benchmark::State& state) {
  const auto& one = key(state.range(0) == 0 ? DkimKey::Algorithm::rsa_sha256 : DkimKey::Algorithm::ed25519_sha256);
  for (auto _ : state) benchmark::DoNotOptimize(antispam::read_private_key(one.private_key, one.algorithm));
}
BENCHMARK(read_private_key)->Arg(0)->Arg(1);

void arc_seal(benchmark::State& state) {
  const auto message = sample_message(10 << 10);
  const auto end = message::header_end(message);
  const std::string_view body[] = {std::string_view(message).substr(end)};
  const antispam::MessageView view{std::string_view(message).substr(0, end), body};
  const auto& one = key(state.range(0) == 0 ? DkimKey::Algorithm::rsa_sha256 : DkimKey::Algorithm::ed25519_sha256);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        antispam::arc_seal(one, view, {}, "mx.example.org; spf=pass smtp.mailfrom=a@example.org; dkim=none; arc=none"));
}
BENCHMARK(arc_seal)->Arg(0)->Arg(1);

void srs_forward(benchmark::State& state) {
  const message::Srs srs({.domain = "fwd.example", .secrets = {std::string(32, 's')}});
  for (auto _ : state) benchmark::DoNotOptimize(srs.forward("bob.smith@example.net", 1'767'225'600));
}
BENCHMARK(srs_forward);

void submission_mend(benchmark::State& state) {
  const auto message = sample_message(10 << 10);
  for (auto _ : state) benchmark::DoNotOptimize(message::mend_submission(message, {"mx.example.org", "id", 1'767'225'600, 0}));
}
BENCHMARK(submission_mend);

void build_report(benchmark::State& state) {
  const auto message = sample_message(10 << 10);
  message::Report report;
  report.hostname = "mx.example.org";
  report.report_id = "r1";
  report.id = "t1";
  report.sender = "ann@example.org";
  report.return_full = true;
  report.recipients.push_back({.recipient = "bob@example.net", .host = "mx.example.net", .reply = "550 5.1.1 no such user"});
  for (auto _ : state) benchmark::DoNotOptimize(message::build_report(report, message));
}
BENCHMARK(build_report);

void sending_limit(benchmark::State& state) {
  antispam::SendingLimits limits({0, 0, 0, 0});
  std::uint64_t account = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limits.recipient(1 + account++ % 10'000, "ann@example.org"));
}
BENCHMARK(sending_limit);

}  // namespace
}  // namespace relais::bench

BENCHMARK_MAIN();
