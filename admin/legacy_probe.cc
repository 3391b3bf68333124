// Looks at the services of a legacy platform, one after the other.
#include "admin/legacy_probe.h"

#include "base/random.h"
#include "imap/client/client.h"
#include "net/address.h"
#include "net/tls.h"
#include "pop/client/client.h"
#include "smtp/client/client.h"
#include "smtp/outbound/addresses.h"
#include "smtp/outbound/legacy.h"

#include <array>
#include <chrono>
#include <memory>
#include <optional>

namespace relais::admin {
namespace {

using directory::ForwardAddress;
using directory::LegacyMaster;
using directory::LegacyService;
using std::chrono::milliseconds;

constexpr std::size_t kAddresses = 4;      // of one host, tried in turn
constexpr milliseconds kPatience{10'000};  // for each step: an administrator waits
const net::Endpoints kOurselves{"127.0.0.1", 0, "127.0.0.1", 0};

std::string tls_text(const net::TlsInfo* info) { return info == nullptr ? "none" : info->version + " " + info->cipher; }

std::string why(const Error& error) {
  auto text = error.text;
  if (!error.code.empty()) text += " [" + error.code + "]";
  if (!error.detail.empty()) text += ": " + error.detail;
  return text;
}

class Probe {
 public:
  Probe(directory::LegacyPlatform platform, directory::Located account, std::string hostname, net::Resolver& resolver, net::Loop& loop)
      : platform_(std::move(platform)),
        hostname_(std::move(hostname)),
        address_(account.account.address),
        user_(legacy_user(platform_, account.origin, address_)),
        resolver_(resolver),
        loop_(loop) {}

  net::asio::awaitable<std::vector<ServiceProbe>> run() {
    std::vector<ServiceProbe> found;
    auto tls = net::TlsContext::client(platform_.ca_file, true);
    if (tls)
      tls_ = *std::move(tls);
    else
      trouble_ = why(tls.error());
    const auto one = [&](std::string name, const LegacyService& service, auto probe) -> net::asio::awaitable<void> {
      if (!service.configured()) co_return;
      ServiceProbe out{.service = std::move(name), .address = address_text(service)};
      const auto addresses = co_await addresses_of(service, out);
      if (service.tls != LegacyService::Tls::none && !tls_) out.problems.push_back(trouble_);
      if (out.problems.empty()) co_await (this->*probe)(out, addresses);
      found.push_back(std::move(out));
    };
    co_await one("imap", platform_.imap, &Probe::imap);
    co_await one("pop3", platform_.pop3, &Probe::pop3);
    co_await one("submission", platform_.submission, &Probe::submission);
    co_await one(platform_.delivery_lmtp ? "lmtp" : "smtp", platform_.delivery, &Probe::delivery);
    co_return found;
  }

 private:
  using Addresses = std::vector<std::string>;

  net::asio::awaitable<Addresses> addresses_of(const LegacyService& service, ServiceProbe& out) {
    if (net::parse_address(service.host, 0)) co_return Addresses{service.host};
    auto found = co_await smtp::find_addresses(resolver_, service.host, smtp::AddressOrder::ipv6_first, kAddresses);
    if (found.addresses.empty())
      out.problems.push_back(found.unknown ? "the DNS does not say where it is: " + found.detail : "the host has no address");
    co_return std::move(found.addresses);
  }

  bool has_master(ServiceProbe& out) const {
    if (platform_.master.way != LegacyMaster::Way::none) return true;
    out.problems.emplace_back("there is no master user: accounts cannot be read (relais legacy add … --master)");
    return false;
  }

  void note_forwarding(ServiceProbe& out) const {
    if (platform_.forward == ForwardAddress::none)
      out.notes.emplace_back(
          "it sees all sessions of a user at our address: its limits per user and address count them together (--forward)");
  }

  /// SASL: there are servers that ignore the authorization identity and open the mailbox of whoever's password it is (Courier).
  bool by_authorization() const noexcept {
    return platform_.master.way == LegacyMaster::Way::authzid || platform_.master.way == LegacyMaster::Way::cyrus;
  }

  /// A user that no server has, and that none that makes mailboxes at the first login (Cyrus) makes one for: it takes no such characters.
  std::string nobody() const {
    const auto at = user_.rfind('@');
    return "relais/no&such-" + random_id(16) + (at == std::string::npos ? std::string() : user_.substr(at));
  }

  /// @param refusal  of the master's login as nobody(); null: it was let in
  static void judge_nobody(ServiceProbe& out, const Error* refusal) {
    if (refusal == nullptr)
      out.problems.emplace_back(
          "the master is let in as a user that cannot exist: what opens is the master's own mailbox, and would be copied into every "
          "account");
    else if (refusal->fault != Fault::refused)
      out.problems.push_back("whose mailbox the master opens is not known: no refusal of a user that cannot exist, but " + why(*refusal));
    else
      out.facts.emplace_back("a user that cannot exist is refused");
  }

  imap::ClientOptions imap_options(Addresses addresses, const std::string& user) const {
    imap::ClientOptions options;
    options.service = platform_.imap;
    options.addresses = std::move(addresses);
    options.tls = tls_;
    options.login.user = user;
    options.login.password = platform_.master.password;
    if (platform_.master.way == LegacyMaster::Way::format) {
      options.login.user = directory::expand_user(platform_.master.format, user, platform_.master.user);
    } else {
      options.login.way = imap::ClientLogin::Way::proxied;
      options.login.authenticate_as = platform_.master.user;
    }
    options.forward = platform_.forward;
    if (options.forward != ForwardAddress::none) options.on_behalf_of = kOurselves;
    options.plaintext_allowed = platform_.imap.tls == LegacyService::Tls::none;
    options.timeouts = {.connect = kPatience, .greeting = kPatience, .login = kPatience, .command = kPatience, .write = kPatience};
    return options;
  }

  net::asio::awaitable<void> imap(ServiceProbe& out, Addresses addresses) {
    if (!has_master(out)) co_return;
    auto client = co_await imap::Client::connect(loop_, imap_options(addresses, user_));
    if (!client) {
      out.problems.push_back("login as " + user_ + " by the master " + platform_.master.user + ": " + why(client.error()));
      co_return;
    }
    auto& session = **client;
    out.tls = tls_text(session.connection().tls());
    out.capabilities = session.capabilities();
    out.facts.push_back("the master " + platform_.master.user + " logs in as " + user_);
    const auto inbox = co_await session.status("INBOX", "MESSAGES UIDNEXT UIDVALIDITY");
    if (!inbox)
      out.problems.push_back("STATUS of INBOX: " + why(inbox.error()));
    else
      out.facts.push_back("INBOX: " + std::to_string(inbox->get("MESSAGES").value_or(0)) + " messages, UIDVALIDITY " +
                          std::to_string(inbox->get("UIDVALIDITY").value_or(0)));
    if (inbox && inbox->get("UIDVALIDITY").value_or(0) == 0) out.problems.emplace_back("it tells no UIDVALIDITY: UIDs cannot be kept");
    struct Wish {
      std::string_view capability;
      std::string_view without;
    };
    static constexpr std::array kWishes{
        Wish{"UIDPLUS", "without UIDPLUS it does not say which UID an appended message gets: the way back is slower"},
        Wish{"CONDSTORE", "without CONDSTORE changes of flags are found by reading all flags"},
        Wish{"QRESYNC", "without QRESYNC expunged messages are found by comparing UIDs"},
        Wish{"LIST-STATUS", "without LIST-STATUS every mailbox is asked for its state by a command of its own"},
        Wish{"IDLE", "without IDLE news are asked for"},
    };
    for (const auto& wish : kWishes) {
      if (!session.has(wish.capability)) out.notes.emplace_back(wish.without);
    }
    note_forwarding(out);
    co_await session.logout();
    if (!by_authorization()) co_return;
    auto other = co_await imap::Client::connect(loop_, imap_options(std::move(addresses), nobody()));
    judge_nobody(out, other ? nullptr : &other.error());
    if (other) co_await (*other)->logout();
  }

  pop::ClientOptions pop3_options(Addresses addresses, const std::string& user) const {
    pop::ClientOptions options;
    options.service = platform_.pop3;
    options.addresses = std::move(addresses);
    options.tls = tls_;
    options.user = user;
    options.password = platform_.master.password;
    if (platform_.master.way == LegacyMaster::Way::format)
      options.user = directory::expand_user(platform_.master.format, user, platform_.master.user);
    else
      options.authenticate_as = platform_.master.user;
    options.forward = platform_.forward;
    if (options.forward != ForwardAddress::none) options.on_behalf_of = kOurselves;
    options.plaintext_allowed = platform_.pop3.tls == LegacyService::Tls::none;
    options.connect_limit = options.reply_limit = kPatience;
    return options;
  }

  net::asio::awaitable<void> pop3(ServiceProbe& out, Addresses addresses) {
    if (!has_master(out)) co_return;
    const auto client = co_await pop::Client::connect(loop_, pop3_options(addresses, user_));
    if (!client) {
      out.problems.push_back("login as " + user_ + " by the master " + platform_.master.user + ": " + why(client.error()));
      co_return;
    }
    out.tls = platform_.pop3.tls == LegacyService::Tls::none ? "none" : std::string(to_string(platform_.pop3.tls));
    out.facts.push_back("the master " + platform_.master.user + " logs in as " + user_);
    for (const auto* capability : {"UIDL", "TOP", "PIPELINING"}) {
      if ((*client)->has(capability)) out.capabilities.emplace_back(capability);
    }
    const auto drop = co_await (*client)->drop();
    if (!drop)
      out.problems.push_back("UIDL and LIST: " + why(drop.error()));
    else
      out.facts.push_back("maildrop: " + std::to_string(drop->size()) + " messages");
    note_forwarding(out);
    (*client)->close();  // nothing was deleted
    if (!by_authorization()) co_return;
    const auto other = co_await pop::Client::connect(loop_, pop3_options(std::move(addresses), nobody()));
    judge_nobody(out, other ? nullptr : &other.error());
    if (other) (*other)->close();
  }

  smtp::ConnectOptions connect_options(const LegacyService& service, const std::string& address, bool lmtp) const {
    smtp::ConnectOptions options;
    options.host = service.host;
    options.address = address;
    options.port = service.port;
    options.hello_name = hostname_;
    options.lmtp = lmtp;
    options.implicit_tls = service.tls == LegacyService::Tls::implicit;
    options.tls.level = service.tls == LegacyService::Tls::none ? smtp::TlsLevel::none
                        : service.verify                        ? smtp::TlsLevel::verify
                                                                : smtp::TlsLevel::encrypt;
    options.tls.names = {service.host};
    options.tls.server_name = service.host == address ? std::string() : service.host;
    options.tls_context = tls_;
    options.timeouts = {
        .connect = kPatience, .greeting = kPatience, .hello = kPatience, .tls = kPatience, .mail = kPatience, .rcpt = kPatience};
    return options;
  }

  net::asio::awaitable<std::unique_ptr<smtp::Client>> dial(ServiceProbe& out, const LegacyService& service, const Addresses& addresses,
                                                           bool lmtp) {
    std::string last;
    for (const auto& address : addresses) {
      auto connected = co_await smtp::Client::connect(loop_, connect_options(service, address, lmtp));
      last = connected.failure.line();
      if (!connected.client) continue;
      const auto& tls = connected.client->tls();
      out.tls = tls.encrypted ? tls.version + " " + tls.cipher : "none";
      co_return std::move(connected.client);
    }
    out.problems.push_back(last);
    co_return nullptr;
  }

  net::asio::awaitable<void> submission(ServiceProbe& out, Addresses addresses) {
    const auto client = co_await dial(out, platform_.submission, addresses, false);
    if (!client) co_return;
    for (const auto& mechanism : client->offer().auth) out.capabilities.push_back("AUTH " + mechanism);
    if (!client->offer().offers_auth("PLAIN") && !client->offer().offers_auth("LOGIN"))
      out.problems.emplace_back("it takes no passwords (AUTH PLAIN or LOGIN)");
    co_await client->quit();
  }

  net::asio::awaitable<void> delivery(ServiceProbe& out, Addresses addresses) {
    const auto client = co_await dial(out, platform_.delivery, addresses, platform_.delivery_lmtp);
    if (!client) co_return;
    const auto& offer = client->offer();
    for (const auto& [offered, name] :
         {std::pair{offer.pipelining, "PIPELINING"}, std::pair{offer.chunking, "CHUNKING"}, std::pair{offer.eight_bit_mime, "8BITMIME"},
          std::pair{offer.smtputf8, "SMTPUTF8"}, std::pair{offer.dsn, "DSN"}, std::pair{offer.size, "SIZE"}}) {
      if (offered) out.capabilities.emplace_back(name);
    }
    const auto verdict = co_await client->check("", address_, false);
    if (verdict.disposition == smtp::Disposition::delivered)
      out.facts.push_back("takes mail for " + address_);
    else
      out.problems.push_back("mail for " + address_ + ": " + verdict.line());
    co_await client->quit();
  }

  const directory::LegacyPlatform platform_;
  const std::string hostname_;
  const std::string address_;
  const std::string user_;
  net::Resolver& resolver_;
  net::Loop& loop_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::string trouble_;
};

}  // namespace

net::asio::awaitable<std::vector<ServiceProbe>> probe_platform(directory::LegacyPlatform platform, directory::Located account,
                                                               std::string hostname, net::Resolver& resolver, net::Loop& loop) {
  Probe probe(std::move(platform), std::move(account), std::move(hostname), resolver, loop);
  co_return co_await probe.run();
}

}  // namespace relais::admin
