// What the tests of signatures share: messages, keys, a DNS of TXT records, and loops to run on.
#pragma once

#include "antispam/arc_seal.h"
#include "antispam/arc_verify.h"
#include "antispam/dkim_keys.h"
#include "antispam/dkim_sign.h"
#include "antispam/dkim_verify.h"
#include "message/header.h"
#include "net/dns_records.h"
#include "net/loop.h"
#include "net/test_support.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace relais::antispam::testing {

inline constexpr std::int64_t kNow = 1'767'225'600;  // 2026-01-01

/// TXT records by name; names it does not know are answered "no such name".
class TxtResolver final : public net::Resolver {
 public:
  void add(std::string name, std::string_view text) { records_[std::move(name)].push_back(net::make_txt(text)); }
  void add(const DkimRecord& record) { add(record.name, record.value); }
  void fail(std::string name) { failing_[std::move(name)] = true; }
  net::asio::awaitable<net::DnsAnswer> query(std::string name, net::DnsType type) override {
    asked.push_back(name);
    net::DnsAnswer answer;
    answer.canonical_name = name;
    if (failing_.contains(name)) co_return answer;
    const auto found = type == net::DnsType::txt ? records_.find(name) : records_.end();
    answer.status = found == records_.end() ? net::DnsAnswer::Status::no_name : net::DnsAnswer::Status::found;
    if (found != records_.end()) answer.records = found->second;
    co_return answer;
  }
  std::vector<std::string> asked;

 private:
  std::map<std::string, std::vector<std::string>> records_;
  std::map<std::string, bool> failing_;
};

/// A key of each kind, made once for the process: RSA takes a while.
inline const DkimKey& rsa_key() {
  static const DkimKey key = make_dkim_key("example.org", "r1", DkimKey::Algorithm::rsa_sha256, DkimKey::State::active, kNow).value();
  return key;
}
inline const DkimKey& edwards_key() {
  static const DkimKey key = make_dkim_key("example.org", "e1", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::active, kNow).value();
  return key;
}

/// A message whose body comes in pieces of odd sizes: cuts must not matter.
class Pieces {
 public:
  explicit Pieces(std::string_view message) : header_(message.substr(0, message::header_end(message))) {
    std::size_t size = 1;
    for (auto rest = message.substr(header_.size()); !rest.empty(); size = size * 3 % 1'001 + 1) {
      body_.push_back(rest.substr(0, size));
      rest.remove_prefix(body_.back().size());
    }
  }
  MessageView view() const { return {header_, body_}; }

 private:
  std::string_view header_;
  std::vector<std::string_view> body_;
};

/// Signs, seals and verifies whole messages.
class Bench {
 public:
  TxtResolver dns;

  Bench() {
    loops_.start();
    dns.add(*dkim_record(rsa_key()));
    dns.add(*dkim_record(edwards_key()));
  }
  ~Bench() { workers_.reset(); }

  static Result<std::string> sign(std::string_view message, std::vector<DkimKey> keys = {rsa_key(), edwards_key()}) {
    const auto end = message::header_end(message);
    const std::string_view body[] = {message.substr(end)};
    auto fields = dkim_sign(keys, {message.substr(0, end), body}, {.now = kNow});
    if (!fields) return fields;
    return *fields + std::string(message);
  }

  std::vector<DkimResult> verify(std::string_view message, std::int64_t now = kNow) {
    const Pieces pieces(message);
    return net::run_on(loops_.at(0), dkim_verify(dns, *workers_, pieces.view(), now)).value();
  }
  /// "pass fail", one word a signature.
  std::string outcomes(std::string_view message, std::int64_t now = kNow) {
    std::string out;
    for (const auto& result : verify(message, now)) out.append(out.empty() ? "" : " ").append(to_string(result.outcome));
    return out;
  }

  ArcChain chain(std::string_view message, std::int64_t now = kNow) {
    const Pieces pieces(message);
    return net::run_on(loops_.at(0), arc_verify(dns, *workers_, pieces.view(), now)).value();
  }
  std::string seal(std::string_view message, const DkimKey& key = rsa_key(),
                   std::string_view results = "mx.example.org; spf=pass smtp.mailfrom=a@b.test; dkim=none; arc=none") {
    const Pieces pieces(message);
    const auto fields = arc_seal(key, pieces.view(), chain(message), results, {.now = kNow});
    return fields ? *fields + std::string(message) : "error: " + fields.error().text + fields.error().detail;
  }

 private:
  net::LoopPool loops_{1};
  std::unique_ptr<net::WorkerPool> workers_ = std::make_unique<net::WorkerPool>(1, 16);
};

inline constexpr std::string_view kMessage =
    "Received: from somewhere\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Hello\r\n there\r\nDate: Thu, 1 Jan 2026 "
    "00:00:00 +0000\r\n"
    "Message-ID: <m1@example.org>\r\n\r\nHello  Bob,\t \r\n\r\nthis is it. \r\n\r\n\r\n";

}  // namespace relais::antispam::testing
