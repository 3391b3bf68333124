// Opens an IMAP session at a legacy platform and passes octets both ways.
#include "imap/relay/relay.h"

#include "base/metrics.h"
#include "directory/digest.h"
#include "imap/proto/relay_view.h"
#include "imap/relay/platform_capabilities.h"

namespace relais::imap {
namespace {

using directory::LegacyMaster;
using directory::LegacyPlatform;
using directory::LegacyService;
using Why = net::PumpEnd::Why;

constexpr auto kByeLimit = std::chrono::seconds(5);  // for the last words

metrics::Gauge& sessions_gauge() {
  static auto& gauge =
      metrics::gauge("relais_relay_sessions", "Sessions relayed to legacy platforms that are open.", {{"protocol", "imap"}});
  return gauge;
}
metrics::Counter& octets_counter(net::Side from) {
  static constexpr auto* kHelp = "Octets relayed between clients and legacy platforms.";
  static auto& client = metrics::counter("relais_relay_octets_total", kHelp, {{"protocol", "imap"}, {"from", "client"}});
  static auto& server = metrics::counter("relais_relay_octets_total", kHelp, {{"protocol", "imap"}, {"from", "server"}});
  return from == net::Side::client ? client : server;
}

std::string_view to_string(Why why) noexcept {
  switch (why) {
    case Why::client_closed: return "client closed";
    case Why::server_closed: return "platform closed";
    case Why::idle: return "idle";
    case Why::shutdown: return "shutdown";
    case Why::stopped: return "stopped";
    case Why::held: return "drained";
    case Why::refused: return "refused";
  }
  return "";
}

Error unavailable(std::string detail) {
  return Error{Fault::temporary, "UNAVAILABLE", "the mail server cannot log you in now", std::move(detail)};
}

/// What logs in: the user, or the platform's master for it.
Result<ClientLogin> login_of(const LegacyPlatform& platform, std::string user, std::optional<std::string> password) {
  ClientLogin login;
  login.user = std::move(user);
  if (password) {
    login.password = std::move(*password);
    return login;
  }
  const auto& master = platform.master;
  if (master.way == LegacyMaster::Way::none)
    return fail(Fault::refused, "log in with LOGIN or AUTHENTICATE PLAIN", "AUTHENTICATIONFAILED", "the platform has no master user");
  login.password = master.password;
  if (master.way == LegacyMaster::Way::format) {
    login.user = directory::expand_user(master.format, login.user, master.user);
  } else {
    login.way = ClientLogin::Way::proxied;
    login.authenticate_as = master.user;
  }
  return login;
}

// The platform's words may tell more than a client should hear.
Error refused_login(Error error, const LegacyPlatform& platform, bool by_master) {
  auto detail = "platform " + platform.name + ": " + error.text + (error.detail.empty() ? "" : "; " + error.detail);
  // The master's password is ours to know: the user cannot have got it wrong.
  if (error.fault == Fault::refused && !by_master)
    return {Fault::refused, "AUTHENTICATIONFAILED", "authentication failed", std::move(detail)};
  return unavailable(std::move(detail));
}

/// What the gate has said.
struct Told {
  Relay* relay = nullptr;
  bool drain = false;
};

}  // namespace

struct Relay::Impl {
  /// The client's octets.
  struct FromClient final : net::Tap {
    explicit FromClient(Impl& relay) : self(relay) {}
    net::Passage look(std::string_view octets) override {
      const auto step = self.view.from_client(octets);
      self.client_waits = !self.view.client_may_go_on();
      if (step.hold) self.pump.ask(net::Side::server);  // for what it has to say in place of the server, or to hold too
      return {.pass = step.pass, .instead = step.instead, .drop = step.drop, .unseen = step.unseen, .hold = step.hold};
    }
    void shutting_down() noexcept override { self.view.hold_at_boundary(true); }
    Impl& self;
  };
  /// The server's.
  struct FromServer final : net::Tap {
    explicit FromServer(Impl& relay) : self(relay) {}
    net::Passage look(std::string_view octets) override {
      const auto step = self.view.from_server(octets);
      if (self.client_waits && self.view.client_may_go_on()) {
        self.client_waits = false;
        self.pump.resume(net::Side::client);
      }
      return {.pass = step.pass, .instead = step.instead, .drop = step.drop, .unseen = step.unseen, .hold = step.hold};
    }
    Impl& self;
  };

  Impl(std::unique_ptr<net::Connection> to, net::Connection& from, const RelayOptions& options, std::string name,
       std::vector<std::string> announced)
      : server(std::move(to)),
        client(from),
        platform(std::move(name)),
        capabilities(std::move(announced)),
        view(capabilities),
        from_client(*this),
        from_server(*this),
        pump(client, *server, &from_client, &from_server, options.pump) {
    sessions_gauge().add(1);
  }
  ~Impl() { sessions_gauge().add(-1); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Why the client is left, in IMAP's words; empty: it is gone, has heard it, or is within something.
  std::string_view last_words(Why why) const noexcept {
    if (!view.server_between_lines() || view.said_bye()) return {};
    switch (why) {
      case Why::server_closed: return "* BYE [UNAVAILABLE] the mail server has closed the connection\r\n";
      case Why::idle: return "* BYE autologout; idle for too long\r\n";
      case Why::shutdown: return "* BYE [UNAVAILABLE] shutting down\r\n";
      case Why::held: return "* BYE [UNAVAILABLE] the mailbox is being moved, connect again\r\n";
      case Why::client_closed:
      case Why::stopped:
      case Why::refused: break;
    }
    return {};
  }

  const std::unique_ptr<net::Connection> server;
  net::Connection& client;
  const std::string platform;
  const std::vector<std::string> capabilities;
  RelayView view;
  FromClient from_client;
  FromServer from_server;
  net::Pump pump;
  bool client_waits = false;  ///< for the server's sake
  directory::Guest guest;     ///< leaves first
};

Relay::Relay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Relay::~Relay() = default;

net::Task<std::unique_ptr<Relay>> Relay::open(RelayServices services, RelayOptions options, net::Connection& client, directory::Located who,
                                              std::optional<std::string> password, std::string session_id) {
  const auto placement = who.account.placement;
  RELAIS_CO_TRY(auto platform, co_await services.moves->platform(placement.legacy));
  if (!platform) co_return fail(unavailable("there is no platform " + placement.legacy));
  if (!platform->imap.configured()) co_return fail(unavailable("platform " + platform->name + " has no IMAP"));
  auto reach = co_await services.hosts->find(*platform, platform->imap);
  if (!reach) co_return fail(unavailable("platform " + platform->name + ": " + reach.error().text + "; " + reach.error().detail));

  ClientOptions to;
  to.service = platform->imap;
  to.addresses = std::move(reach->addresses);
  to.tls = std::move(reach->tls);
  to.forward = platform->forward;
  to.on_behalf_of = client.endpoints();
  to.session_id = std::move(session_id);
  to.plaintext_allowed = platform->imap.tls == LegacyService::Tls::none;
  to.timeouts = options.timeouts;
  RELAIS_CO_TRY(to.login, login_of(*platform, directory::legacy_user(*platform, who.origin, who.account.address), password));
  auto session = co_await Client::connect(client.loop(), std::move(to));
  if (!session) co_return fail(refused_login(std::move(session).error(), *platform, !password));
  if (password) {
    services.moves->learn(who.account.number, who.generation, *password);
    directory::wipe(*password);
  }
  // The gate may tell before there is whom to tell.
  auto told = std::make_shared<Told>();
  auto guest =
      co_await services.gate->enter(who.account, directory::GuestKind::imap_relay, client.loop(), [told](directory::GateCall call) {
        if (call != directory::GateCall::drain) return;
        told->drain = true;
        if (told->relay != nullptr) told->relay->drain();
      });
  if (!guest && guest.error().code == "PLACEMENT") co_return std::unique_ptr<Relay>();
  if (!guest) co_return fail(std::move(guest).error());
  auto announced = relay_capabilities((*session)->capabilities());
  if (services.capabilities != nullptr) services.capabilities->learned(platform->name, announced);
  auto impl = std::make_unique<Impl>((*session)->release(), client, options, platform->name, std::move(announced));
  impl->guest = std::move(*guest);
  std::unique_ptr<Relay> relay(new Relay(std::move(impl)));
  told->relay = relay.get();
  if (told->drain) relay->drain();
  co_return relay;
}

const std::string& Relay::platform() const noexcept { return impl_->platform; }
const std::vector<std::string>& Relay::capabilities() const noexcept { return impl_->capabilities; }
std::uint64_t Relay::octets() const noexcept { return impl_->pump.octets(net::Side::server); }

net::asio::awaitable<void> Relay::run(const log::Session& log) {
  auto& self = *impl_;
  // What came before the client could be told anything is still in a buffer: the taps are asked once in any case.
  self.pump.ask(net::Side::server);
  self.pump.ask(net::Side::client);
  const auto end = co_await self.pump.run();
  if (const auto words = self.last_words(end.why); !words.empty()) {
    self.client.queue(words);
    if (auto sent = co_await self.client.flush(net::in(kByeLimit)); !sent)
      log.event(log::Level::debug, "last_words_lost", {{"reason", sent.error().text}});
  }
  self.client.close();
  self.server->close();
  self.guest.leave();
  for (const auto side : {net::Side::client, net::Side::server}) octets_counter(side).add(self.pump.octets(side));
  log.event(log::Level::info, "relay_ended",
            {{"platform", self.platform},
             {"reason", to_string(end.why)},
             {"octets", octets()},
             {"detail", end.error.detail.empty() ? end.error.text : end.error.detail}});
}

void Relay::drain() noexcept {
  impl_->view.hold_at_boundary(true);
  impl_->pump.ask(net::Side::client);
  impl_->pump.ask(net::Side::server);
}

}  // namespace relais::imap
