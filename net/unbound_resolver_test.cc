// libunbound against a scripted name server: answers, faults, DNSSEC with a zone signed on the spot.
#include "net/unbound_resolver.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/encode.h"
#include "net/dns_records.h"
#include "net/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace relais::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Status = DnsAnswer::Status;

constexpr std::uint16_t kSoa = 6;
constexpr std::uint16_t kRrsig = 46;
constexpr std::uint16_t kDnskey = 48;
constexpr std::uint32_t kTtl = 300;
constexpr std::size_t kMaxUdp = 1232;  // octets, as most servers have it since 2020
constexpr std::size_t kMaxTcp = 65'535;
constexpr std::uint8_t kEd25519 = 15;  // RFC 8080 §3

std::string wire(std::string_view name) { return make_name(name).value(); }

/// A key of a zone: signs RRsets as RFC 4034 §3.1 has it.
class ZoneKey {
 public:
  ZoneKey() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free) { RELAIS_CHECK(key_ != nullptr); }

  /// RFC 4034 §2.1: flags 257 (zone key, secure entry point), protocol 3.
  std::string rdata() const {
    std::array<unsigned char, 32> octets{};
    std::size_t size = octets.size();
    EVP_PKEY_get_raw_public_key(key_.get(), octets.data(), &size);
    std::string out;
    put_u16(out, 257);
    put_u8(out, 3);
    put_u8(out, kEd25519);
    return out.append(reinterpret_cast<const char*>(octets.data()), size);
  }

  // RFC 4034 appendix B
  std::uint16_t tag() const {
    std::uint32_t sum = 0;
    const auto octets = rdata();
    for (std::size_t i = 0; i < octets.size(); ++i)
      sum += static_cast<std::uint32_t>(static_cast<unsigned char>(octets[i])) << (i % 2 == 0 ? 8U : 0U);
    return static_cast<std::uint16_t>((sum + (sum >> 16U)) & 0xffffU);
  }

  /// @param expires seconds from now
  std::string sign(std::string_view zone, std::string_view name, std::uint16_t type, std::vector<std::string> records,
                   std::int64_t expires) const {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::string head;
    put_u16(head, type);
    put_u8(head, kEd25519);
    put_u8(head, static_cast<std::uint8_t>(std::ranges::count(name, '.') + 1));
    put_u32(head, kTtl);
    put_u32(head, static_cast<std::uint32_t>(now + expires));
    put_u32(head, static_cast<std::uint32_t>(now - 172800));
    put_u16(head, tag());
    head += wire(zone);
    std::ranges::sort(records);
    std::string data = head;
    for (const auto& record : records) {
      data += wire(name);
      put_u16(data, type);
      put_u16(data, 1);
      put_u32(data, kTtl);
      put_u16(data, static_cast<std::uint16_t>(record.size()));
      data += record;
    }
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::array<unsigned char, 64> signature{};
    std::size_t size = signature.size();
    RELAIS_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
    RELAIS_CHECK(EVP_DigestSign(context.get(), signature.data(), &size, reinterpret_cast<const unsigned char*>(data.data()), data.size()) ==
                 1);
    return head.append(reinterpret_cast<const char*>(signature.data()), size);
  }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

/// Answers on UDP at 127.0.0.1 from a table; names below "signed.test" with signatures.
class NameServer {
 public:
  using Records = std::vector<std::pair<std::uint16_t, std::string>>;  ///< type and RDATA

  NameServer() {
    while (!listen()) {
    }
    RELAIS_CHECK(::pipe(stop_.data()) == 0);
  }
  ~NameServer() {
    if (thread_.joinable()) {
      static_cast<void>(!::write(stop_[1], "", 1));
      thread_.join();
    }
    for (const int fd : {socket_, tcp_, stop_[0], stop_[1]}) ::close(fd);
  }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  /// Before start().
  void add(const std::string& name, DnsType type, std::string rdata) {
    records_[name].emplace_back(static_cast<std::uint16_t>(type), std::move(rdata));
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  std::string forwarder() const { return "127.0.0.1@" + std::to_string(port_); }
  std::string anchor() const { return "signed.test. IN DNSKEY 257 3 15 " + to_base64(key_.rdata().substr(4)) + "\n"; }
  std::string root_anchor() const { return ". IN DNSKEY 257 3 15 " + to_base64(key_.rdata().substr(4)) + "\n"; }
  int questions() const { return questions_; }
  int questions_by_tcp() const { return questions_by_tcp_; }
  void keep_silent() { silent_ = true; }

 private:
  /// One port for UDP and TCP. False where somebody has the latter already.
  bool listen() {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    RELAIS_CHECK(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    RELAIS_CHECK(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    if (::bind(tcp_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(tcp_, 10) == 0) return true;
    ::close(socket_);
    ::close(tcp_);
    return false;
  }

  // RFC 1035 §4.2.2: the length stands before the message. One question a connection.
  void serve_tcp() {
    const int peer = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
    std::string query(2, '\0');
    if (read_all(peer, query)) {
      query.resize(Decoder(query).u16());
      if (read_all(peer, query)) {
        ++questions_by_tcp_;
        const auto reply = answer(query, kMaxTcp);
        std::string framed;
        put_u16(framed, static_cast<std::uint16_t>(reply.size()));
        framed += reply;
        RELAIS_CHECK(::send(peer, framed.data(), framed.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(framed.size()));
      }
    }
    ::close(peer);
  }
  static bool read_all(int peer, std::string& into) {
    for (std::size_t got = 0; got < into.size();) {
      const auto n = ::read(peer, into.data() + got, into.size() - got);
      if (n <= 0) return false;
      got += static_cast<std::size_t>(n);
    }
    return true;
  }

  void run() {
    for (;;) {
      std::array<pollfd, 3> watched{{{socket_, POLLIN, 0}, {stop_[0], POLLIN, 0}, {tcp_, POLLIN, 0}}};
      ::poll(watched.data(), watched.size(), -1);
      if (watched[1].revents != 0) return;
      if (watched[2].revents != 0) serve_tcp();
      if (watched[0].revents == 0) continue;
      std::array<char, 4096> buffer{};
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const auto n = ::recvfrom(socket_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 12) continue;
      const auto reply = answer({buffer.data(), static_cast<std::size_t>(n)}, kMaxUdp);
      if (!reply.empty()) ::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
    }
  }

  static void append_record(std::string& out, std::string_view owner, std::uint16_t type, std::string_view rdata) {
    out += wire(owner);
    put_u16(out, type);
    put_u16(out, 1);
    put_u32(out, kTtl);
    put_u16(out, static_cast<std::uint16_t>(rdata.size()));
    out += rdata;
  }

  // RFC 1035 §4.1: header, question, answer, authority; the OPT record that DNSSEC needs (RFC 6891).
  std::string answer(std::string_view query, std::size_t most) {
    ++questions_;
    auto end = query.find('\0', 12);
    const auto question = query.substr(12, end + 5 - 12);
    const auto name = parse_name(question.substr(0, question.size() - 4)).value();
    Decoder in(question.substr(question.size() - 4));
    const auto type = in.u16();
    if (silent_ || name.starts_with("silent")) return {};
    if (name.starts_with("garbage")) return std::string(query.substr(0, 2)) + "garbage that is no DNS";
    std::uint16_t rcode = name.starts_with("servfail") ? 2 : name.starts_with("refused") ? 5 : 0;
    std::string answers;
    std::uint16_t count = 0;
    const bool is_signed = name.ends_with("signed.test");
    std::vector<std::string> set;
    if (is_signed && name == "signed.test" && type == kDnskey) set.push_back(key_.rdata());
    bool known = !set.empty();
    for (const auto& [owner, entries] : records_) {
      if (owner == name || owner.ends_with("." + name)) known = true;
      if (owner != name) continue;
      for (const auto& [record_type, rdata] : entries) {
        if (record_type != type && record_type != static_cast<std::uint16_t>(DnsType::cname)) continue;
        append_record(answers, name, record_type, rdata);
        ++count;
        if (record_type == type) set.push_back(rdata);
      }
    }
    if (!set.empty() && count == 0) {
      for (const auto& rdata : set) append_record(answers, name, type, rdata);
      count = static_cast<std::uint16_t>(set.size());
    }
    if (is_signed && !set.empty() && !name.starts_with("stripped")) {
      auto signature = key_.sign("signed.test", name, type, set, name.starts_with("expired") ? -86400 : 86400);
      if (name.starts_with("forged")) signature.back() = static_cast<char>(signature.back() ^ 1);
      append_record(answers, name, kRrsig, signature);
      ++count;
    }
    if (!known && rcode == 0) rcode = 3;
    std::string authority;
    if (count == 0 && rcode != 2 && rcode != 5) {
      std::string soa = wire("ns.test") + wire("root.test");
      for (const std::uint32_t number : {1U, 3600U, 600U, 86400U, 60U}) put_u32(soa, number);
      append_record(authority, "test", kSoa, soa);
    }
    const bool cut = answers.size() + authority.size() + 100 > most;  // RFC 2181 §9
    if (cut) {
      answers.clear();
      count = 0;
    }
    std::string reply(query.substr(0, 2));
    put_u16(reply, static_cast<std::uint16_t>(0x8180U | (cut ? 0x0200U : 0U) | rcode));  // response, recursion desired and available
    put_u16(reply, 1);
    put_u16(reply, count);
    put_u16(reply, authority.empty() ? 0 : 1);
    put_u16(reply, 1);
    reply.append(question).append(answers).append(authority);
    reply.append(std::string("\0\0\x29\x10\0\0\0\x80\0\0\0", 11));  // OPT, 4096 octets, DO
    return reply;
  }

  int socket_ = -1;
  int tcp_ = -1;
  std::uint16_t port_ = 0;
  std::array<int, 2> stop_{};
  std::map<std::string, Records> records_;
  ZoneKey key_;
  std::atomic<int> questions_ = 0;
  std::atomic<int> questions_by_tcp_ = 0;
  std::atomic<bool> silent_ = false;
  std::thread thread_;
};

class Unbound : public testing::Test {
 protected:
  Unbound() {
    loops.start();
    server.add("mx.test", DnsType::a, make_a("192.0.2.1").value());
    server.add("mx.test", DnsType::aaaa, make_aaaa("2001:db8::1").value());
    server.add("domain.test", DnsType::mx, make_mx({20, "backup.test"}).value());
    server.add("domain.test", DnsType::mx, make_mx({10, "mx.test"}).value());
    server.add("text.test", DnsType::txt, make_txt("v=STSv1; id=" + std::string(300, '1') + ";"));
    server.add("alias.test", DnsType::cname, wire("MX.test"));
    for (std::uint16_t i = 0; i < 200; ++i)
      server.add("many.test", DnsType::mx, make_mx({i, "mx" + std::to_string(i) + ".many.test"}).value());
    server.add("loop1.test", DnsType::cname, wire("loop2.test"));
    server.add("loop2.test", DnsType::cname, wire("loop1.test"));
    for (const std::string& name : std::vector<std::string>{"good", "forged", "expired", "stripped"})
      server.add(name + ".signed.test", DnsType::a, make_a("192.0.2.7").value());
    server.add("_25._tcp.good.signed.test", DnsType::tlsa, make_tlsa({3, 1, 1, std::string(32, 'x')}));
    server.start();
    settings.forwarders = {server.forwarder()};
    settings.open_zones = {"test."};
  }

  void open() { resolver = UnboundResolver::open(settings).value(); }
  DnsAnswer ask(const std::string& name, DnsType type) {
    if (!resolver) open();
    return run_on(loops.at(0), resolver->query(name, type));
  }
  void trust(const std::string& anchor) {
    path = testing::TempDir() + "relais-anchor-" + std::to_string(::getpid());
    std::ofstream(path) << anchor;
    settings.trust_anchor_file = path;
  }
  void trust() { trust(server.anchor()); }
  ~Unbound() override {
    resolver.reset();
    if (!path.empty()) std::remove(path.c_str());
  }

  LoopPool loops{2};
  NameServer server;
  UnboundSettings settings;
  std::unique_ptr<UnboundResolver> resolver;
  std::string path;
};

TEST_F(Unbound, Records) {
  const auto a = ask("MX.test.", DnsType::a);
  EXPECT_EQ(a.status, Status::found) << a.detail;
  EXPECT_EQ(parse_a(a.records.at(0)).value(), "192.0.2.1");
  EXPECT_EQ(a.canonical_name, "mx.test");
  EXPECT_GT(a.ttl.count(), 0);
  EXPECT_LE(a.ttl.count(), kTtl);
  EXPECT_FALSE(a.secure);
  EXPECT_EQ(parse_aaaa(ask("mx.test", DnsType::aaaa).records.at(0)).value(), "2001:db8::1");
  std::vector<int> preferences;
  for (const auto& rdata : ask("domain.test", DnsType::mx).records) preferences.push_back(parse_mx(rdata).value().preference);
  EXPECT_THAT(preferences, testing::UnorderedElementsAre(10, 20));
  EXPECT_EQ(parse_txt(ask("text.test", DnsType::txt).records.at(0)).value().size(), 313U);
}

TEST_F(Unbound, Aliases) {
  const auto answer = ask("alias.test", DnsType::a);
  EXPECT_EQ(answer.status, Status::found);
  EXPECT_EQ(answer.canonical_name, "mx.test");
  EXPECT_EQ(parse_name(ask("alias.test", DnsType::cname).records.at(0)).value(), "mx.test");
  EXPECT_TRUE(ask("loop1.test", DnsType::a).unknown());
}

// More than a datagram holds: by TCP.
TEST_F(Unbound, TwoHundredMxRecords) {
  const auto answer = ask("many.test", DnsType::mx);
  EXPECT_EQ(answer.status, Status::found) << answer.detail;
  EXPECT_EQ(answer.records.size(), 200U);
  EXPECT_EQ(server.questions_by_tcp(), 1);
}

TEST_F(Unbound, Absence) {
  EXPECT_EQ(ask("nothing.test", DnsType::a).status, Status::no_name);
  EXPECT_EQ(ask("mx.test", DnsType::mx).status, Status::no_data);
}

TEST_F(Unbound, Faults) {
  settings.limit = 3s;
  for (const std::string& name : std::vector<std::string>{"servfail.test", "refused.test", "silent.test", "garbage.test"}) {
    const auto answer = ask(name, DnsType::a);
    EXPECT_EQ(answer.status, Status::failed) << name;
    EXPECT_NE(answer.detail, "") << name;
  }
  EXPECT_EQ(ask("mx.test", DnsType::a).status, Status::found);
}

TEST_F(Unbound, NamesThatAreNone) {
  for (const std::string& name : std::vector<std::string>{std::string(64, 'a') + ".test", std::string("a..test"), std::string(300, 'a')})
    EXPECT_EQ(ask(name, DnsType::a).status, Status::failed) << name;
}

TEST_F(Unbound, KeepsAnswers) {
  ask("mx.test", DnsType::a);
  const int before = server.questions();
  ask("mx.test", DnsType::a);
  EXPECT_EQ(server.questions(), before);
}

TEST_F(Unbound, ReservedZonesAreAskedForOnlyWhereOpened) {
  settings.open_zones.clear();
  EXPECT_EQ(ask("mx.test", DnsType::a).status, Status::no_name);
  EXPECT_EQ(server.questions(), 0);
}

TEST_F(Unbound, LocalData) {
  settings.local_data = {"mail.example.net. A 192.0.2.9"};
  EXPECT_EQ(parse_a(ask("mail.example.net", DnsType::a).records.at(0)).value(), "192.0.2.9");
}

TEST_F(Unbound, DnssecVerdicts) {
  trust();
  const auto good = ask("good.signed.test", DnsType::a);
  EXPECT_EQ(good.status, Status::found) << good.detail;
  EXPECT_TRUE(good.secure);
  EXPECT_TRUE(ask("_25._tcp.good.signed.test", DnsType::tlsa).secure);
  for (const std::string& name : std::vector<std::string>{"forged.signed.test", "expired.signed.test", "stripped.signed.test"}) {
    const auto answer = ask(name, DnsType::a);
    EXPECT_EQ(answer.status, Status::bogus) << name;
    EXPECT_NE(answer.detail, "");
  }
  EXPECT_FALSE(ask("mx.test", DnsType::a).secure);
}

TEST_F(Unbound, WithoutAnAnchorNothingIsSecure) {
  EXPECT_FALSE(ask("good.signed.test", DnsType::a).secure);
  EXPECT_EQ(ask("forged.signed.test", DnsType::a).status, Status::found);
}

// A server that knows nothing of DNSSEC: not even the root's keys can be had, so that every name would be bogus.
TEST_F(Unbound, ServersThatDoNotPassDnssecOn) {
  for (const bool required : {true, false}) {
    SCOPED_TRACE(required);
    trust(server.root_anchor());
    settings.dnssec_required = required;
    open();
    std::vector<std::future<DnsAnswer>> asked;
    for (const auto* name : {"mx.test", "text.test", "mx.test"})
      asked.push_back(asio::co_spawn(loops.at(1).context(), resolver->query(name, DnsType::a), asio::use_future));
    EXPECT_EQ(asked[0].get().status, required ? Status::bogus : Status::found);
    EXPECT_EQ(asked[1].get().status, required ? Status::bogus : Status::no_data);
    const auto last = asked[2].get();
    EXPECT_EQ(last.status, required ? Status::bogus : Status::found) << last.detail;
    EXPECT_FALSE(last.secure);
    EXPECT_EQ(ask("nowhere.test", DnsType::a).status, required ? Status::bogus : Status::no_name);
  }
}

// Where the servers do, nothing changes.
TEST_F(Unbound, DnssecThatIsPassedOnIsUsedThoughNotRequired) {
  trust();
  settings.dnssec_required = false;
  EXPECT_TRUE(ask("good.signed.test", DnsType::a).secure);
  EXPECT_EQ(ask("forged.signed.test", DnsType::a).status, Status::bogus);
}

TEST_F(Unbound, WhoIsAskedWhileItIsNotKnownWhetherDnssecIsPassedOnIsAnsweredAtTheEnd) {
  trust(server.root_anchor());
  settings.dnssec_required = false;
  server.keep_silent();
  open();
  auto asked = asio::co_spawn(loops.at(1).context(), resolver->query("mx.test", DnsType::a), asio::use_future);
  while (server.questions() == 0) std::this_thread::yield();
  resolver.reset();
  EXPECT_EQ(asked.get().status, Status::failed);
}

TEST_F(Unbound, ManyAtATimeFromSeveralLoops) {
  open();
  std::vector<std::future<DnsAnswer>> answers;
  for (int i = 0; i < 2000; ++i)
    answers.push_back(asio::co_spawn(loops.at(static_cast<std::size_t>(i % 2)).context(),
                                     resolver->query(i % 3 == 0 ? "mx.test" : "n" + std::to_string(i) + ".test", DnsType::a),
                                     asio::use_future));
  int found = 0;
  int absent = 0;
  for (auto& answer : answers) {
    const auto got = answer.get();
    found += got.found() ? 1 : 0;
    absent += got.absent() ? 1 : 0;
  }
  EXPECT_EQ(found, 667);
  EXPECT_EQ(absent, 1333);
}

TEST_F(Unbound, TooManyAtATimeFail) {
  settings.max_pending = 5;
  settings.limit = 3s;
  open();
  std::vector<std::future<DnsAnswer>> answers;
  for (int i = 0; i < 20; ++i)
    answers.push_back(
        asio::co_spawn(loops.at(0).context(), resolver->query("silent" + std::to_string(i) + ".test", DnsType::a), asio::use_future));
  int refused = 0;
  for (auto& answer : answers) refused += answer.get().detail == "too many questions at a time" ? 1 : 0;
  EXPECT_EQ(refused, 15);
}

TEST_F(Unbound, TheEndAnswersEverybody) {
  open();
  std::vector<std::future<DnsAnswer>> answers;
  for (int i = 0; i < 20; ++i)
    answers.push_back(
        asio::co_spawn(loops.at(0).context(), resolver->query("silent" + std::to_string(i) + ".test", DnsType::a), asio::use_future));
  EXPECT_TRUE(ask("mx.test", DnsType::a).found());  // so the others have been asked before
  resolver.reset();
  for (auto& answer : answers) EXPECT_EQ(answer.get().detail, "shutting down");
}

TEST_F(Unbound, SettingsThatCannotBeUsedAreNamed) {
  const auto refused = [&](const UnboundSettings& bad, const char* text) {
    const auto opened = UnboundResolver::open(bad);
    ASSERT_FALSE(opened) << text;
    EXPECT_EQ(opened.error().fault, Fault::refused);
    EXPECT_THAT(opened.error().text, HasSubstr(text));
  };
  auto bad = settings;
  bad.forwarders = {"not an address"};
  refused(bad, "not an address");
  bad = settings;
  bad.trust_anchor_file = "/nonexistent/root.key";
  refused(bad, "/nonexistent/root.key");
  bad = settings;
  bad.local_data = {"nonsense"};
  refused(bad, "nonsense");
  bad = settings;
  bad.forwarders.clear();
  bad.resolv_conf = "/nonexistent/resolv.conf";
  refused(bad, "/nonexistent/resolv.conf");
}

}  // namespace
}  // namespace relais::net
