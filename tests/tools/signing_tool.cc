// Signs, seals and verifies messages from standard input, so that other implementations can be held against ours
// (tests/e2e/test_signing.py).
//
//   signing_tool key DOMAIN SELECTOR ALGORITHM FILE             makes a key; prints "NAME VALUE", the DNS record
//   signing_tool sign (DOMAIN SELECTOR ALGORITHM FILE)…         prints the signed message
//   signing_tool seal RECORDS RESULTS DOMAIN SELECTOR ALGORITHM FILE   prints the sealed message
//   signing_tool verify RECORDS                                 prints "dkim OUTCOME DOMAIN SELECTOR REASON" per signature, then "arc
//   STATUS INSTANCES REASON"
//
// ALGORITHM is rsa or ed25519, FILE a PEM private key, RECORDS a file of "NAME VALUE" lines: all of the DNS there is.
#include "antispam/arc_seal.h"
#include "antispam/dkim_keys.h"
#include "antispam/dkim_sign.h"
#include "antispam/dkim_verify.h"
#include "base/ascii.h"
#include "message/header.h"
#include "net/dns_records.h"
#include "net/test_support.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::antispam;

namespace {

[[noreturn]] void give_up(std::string_view why) {
  std::cerr << "signing_tool: " << why << "\n";
  std::exit(2);
}

template <class T>
T value_of(Result<T> result) {
  if (!result) give_up(result.error().text + " " + result.error().detail);
  return std::move(*result);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) give_up("can't read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string read_message() {
  std::string message(std::istreambuf_iterator<char>(std::cin), {});
  return message;
}

DkimKey::Algorithm algorithm_of(std::string_view name) {
  if (name == "rsa") return DkimKey::Algorithm::rsa_sha256;
  if (name == "ed25519") return DkimKey::Algorithm::ed25519_sha256;
  give_up("an algorithm is rsa or ed25519");
}

DkimKey key_of(std::span<const std::string> four) {
  return {four[0], four[1], algorithm_of(four[2]), DkimKey::State::active, read_file(four[3]), 0, 0};
}

/// The records of a file.
class FileResolver final : public net::Resolver {
 public:
  explicit FileResolver(const std::string& path) {
    const auto text = read_file(path);
    for (const auto line : split(text, '\n')) {
      const auto space = line.find(' ');
      if (space != std::string_view::npos) records_[to_lower(line.substr(0, space))] = trim(line.substr(space));
    }
  }
  net::asio::awaitable<net::DnsAnswer> query(std::string name, net::DnsType) override {
    net::DnsAnswer answer;
    const auto found = records_.find(to_lower(name));
    answer.canonical_name = std::move(name);
    answer.status = found == records_.end() ? net::DnsAnswer::Status::no_name : net::DnsAnswer::Status::found;
    if (found != records_.end()) answer.records.push_back(net::make_txt(found->second));
    co_return answer;
  }

 private:
  std::map<std::string, std::string> records_;
};

struct Split {
  explicit Split(std::string_view message)
      : end(message::header_end(message)), body{message.substr(end)}, view{message.substr(0, end), body} {}
  std::size_t end;
  std::string_view body[1];
  MessageView view;
};

struct Engine {
  Engine() { loops.start(); }
  net::LoopPool loops{1};
  std::unique_ptr<net::WorkerPool> workers = std::make_unique<net::WorkerPool>(1, 16);
};

int make_key(std::span<const std::string> args) {
  const auto key = value_of(make_dkim_key(args[0], args[1], algorithm_of(args[2]), DkimKey::State::active, 0));
  std::ofstream(args[3]) << key.private_key;
  const auto record = value_of(dkim_record(key));
  std::cout << record.name << " " << record.value << "\n";
  return 0;
}

int sign(std::span<const std::string> args) {
  std::vector<DkimKey> keys;
  for (std::size_t i = 0; i + 4 <= args.size(); i += 4) keys.push_back(key_of(args.subspan(i, 4)));
  const auto message = read_message();
  const Split parts(message);
  std::cout << value_of(dkim_sign(keys, parts.view)) << message;
  return 0;
}

int seal(std::span<const std::string> args) {
  Engine engine;
  FileResolver dns(args[0]);
  const auto message = read_message();
  const Split parts(message);
  const auto chain = value_of(net::run_on(engine.loops.at(0), arc_verify(dns, *engine.workers, parts.view)));
  std::cout << value_of(arc_seal(key_of(args.subspan(2)), parts.view, chain, args[1])) << message;
  engine.workers.reset();
  return 0;
}

int verify(std::span<const std::string> args) {
  Engine engine;
  FileResolver dns(args[0]);
  const auto message = read_message();
  const Split parts(message);
  for (const auto& result : value_of(net::run_on(engine.loops.at(0), dkim_verify(dns, *engine.workers, parts.view)))) {
    std::cout << "dkim " << to_string(result.outcome) << " " << result.domain << " " << result.selector << " " << result.reason << "\n";
  }
  const auto chain = value_of(net::run_on(engine.loops.at(0), arc_verify(dns, *engine.workers, parts.view)));
  std::cout << "arc " << to_string(chain.status) << " " << chain.instances << " " << chain.reason << "\n";
  engine.workers.reset();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + std::min(argc, 2), argv + argc);
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "key" && args.size() == 4) return make_key(args);
  if (command == "sign" && args.size() >= 4 && args.size() % 4 == 0) return sign(args);
  if (command == "seal" && args.size() == 6) return seal(args);
  if (command == "verify" && args.size() == 1) return verify(args);
  give_up("see the head of tests/tools/signing_tool.cc");
}
