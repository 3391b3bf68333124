// ARC chains of strangers: their structure, their validation, and what we put on top.
#include <cstdlib>
#include <string>
#include <string_view>

#include "antispam/arc_seal.h"
#include "antispam/arc_sets.h"
#include "antispam/authentication_results.h"
#include "antispam/dkim_keys.h"
#include "message/header.h"
#include "net/dns_records.h"
#include "net/test_support.h"

using namespace relais;
using namespace relais::antispam;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

/// Any name has our key.
class OurKey final : public net::Resolver {
 public:
  explicit OurKey(const DkimKey& key) : record_(net::make_txt(dkim_record(key).value().value)) {}
  net::asio::awaitable<net::DnsAnswer> query(std::string name, net::DnsType) override {
    net::DnsAnswer answer;
    answer.status = net::DnsAnswer::Status::found;
    answer.canonical_name = std::move(name);
    answer.records.push_back(record_);
    co_return answer;
  }

 private:
  std::string record_;
};

struct World {
  World() { loops.start(); }
  DkimKey key = make_dkim_key("example.org", "e1", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::active, 0).value();
  net::LoopPool loops{1};
  net::WorkerPool workers{1, 16};
  OurKey dns{key};
};

ArcChain chain_of(World& world, std::string_view text) {
  const auto end = message::header_end(text);
  const std::string_view body[] = {text.substr(end)};
  const auto chain = net::run_on(world.loops.at(0), arc_verify(world.dns, world.workers, {text.substr(0, end), body}, 1'767'225'600));
  check(chain.has_value());
  check((chain->status == ArcChain::Status::fail) == !chain->reason.empty());
  check(chain->instances <= kMaxArcSets);
  return *chain;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(results_instance(text));
  const auto chain = chain_of(world, text);
  // A seal on top of whatever it is: one set more, whole where the chain was whole, closed where it was broken.
  const auto end = message::header_end(text);
  const std::string_view body[] = {text.substr(end)};
  const auto results = authentication_results("mx.test", {}, chain);
  check(results.find_first_of("\r\n") == std::string::npos);
  const auto sealed = arc_seal(world.key, {text.substr(0, end), body}, chain, results, {.now = 1'767'225'600});
  if (!sealed || sealed->empty()) return 0;
  const auto after = chain_of(world, *sealed + std::string(text));
  if (chain.status == ArcChain::Status::fail)
    check(after.status == ArcChain::Status::fail && !after.sealable);
  else
    check(after.status == ArcChain::Status::pass && after.instances == chain.instances + 1);
  return 0;
}
