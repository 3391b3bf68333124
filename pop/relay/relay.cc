// Opens a POP3 session at a legacy platform and passes octets both ways.
#include "pop/relay/relay.h"

#include "base/metrics.h"
#include "directory/digest.h"
#include "pop/client/client.h"
#include "pop/proto/quit_finder.h"

namespace relais::pop {
namespace {

using directory::LegacyMaster;
using directory::LegacyPlatform;
using directory::LegacyService;

metrics::Gauge& sessions_gauge() {
  static auto& gauge =
      metrics::gauge("relais_relay_sessions", "Sessions relayed to legacy platforms that are open.", {{"protocol", "pop3"}});
  return gauge;
}
metrics::Counter& octets_counter(net::Side from) {
  static constexpr auto* kHelp = "Octets relayed between clients and legacy platforms.";
  static auto& client = metrics::counter("relais_relay_octets_total", kHelp, {{"protocol", "pop3"}, {"from", "client"}});
  static auto& server = metrics::counter("relais_relay_octets_total", kHelp, {{"protocol", "pop3"}, {"from", "server"}});
  return from == net::Side::client ? client : server;
}

std::string_view to_string(net::PumpEnd::Why why) noexcept {
  using Why = net::PumpEnd::Why;
  switch (why) {
    case Why::client_closed: return "client closed";
    case Why::server_closed: return "platform closed";
    case Why::idle: return "idle";
    case Why::shutdown: return "shutdown";
    case Why::stopped: return "drained";
    case Why::held: return "held";
    case Why::refused: return "refused";
  }
  return "";
}

Error unavailable(std::string_view code, std::string detail) {
  return Error{Fault::temporary, std::string(code), "the mail server cannot log you in now", std::move(detail)};
}

/// Sees the client's QUIT pass. At a stop of the platform holds at the end of a line, unless it was QUIT: the server closes then.
class QuitTap final : public net::Tap {
 public:
  net::Passage look(std::string_view octets) override {
    finder_.feed(octets);
    return {.pass = octets.size(), .hold = stopping_ && finder_.at_line_start() && !finder_.found()};
  }
  void shutting_down() noexcept override { stopping_ = true; }
  bool quit() const noexcept { return finder_.found(); }

 private:
  QuitFinder finder_;
  bool stopping_ = false;
};

/// What logs in: the user, or the platform's master for it.
Result<void> set_credentials(ClientOptions& options, const LegacyPlatform& platform, std::string user,
                             std::optional<std::string> password) {
  options.user = std::move(user);
  if (password) {
    options.password = std::move(*password);
    return {};
  }
  const auto& master = platform.master;
  if (master.way == LegacyMaster::Way::none)
    return fail(Fault::refused, "log in with USER and PASS, or AUTH PLAIN", "AUTHENTICATIONFAILED", "the platform has no master user");
  options.password = master.password;
  if (master.way == LegacyMaster::Way::format)
    options.user = directory::expand_user(master.format, options.user, master.user);
  else
    options.authenticate_as = master.user;
  return {};
}

}  // namespace

struct Relay::Impl {
  /// What the gate tells: it may do so before there is a session.
  struct Told {
    Impl* session = nullptr;
    bool drained = false;
  };

  Impl(std::unique_ptr<net::Connection> to, net::Connection& from, const RelayOptions& options, std::string name)
      : server(std::move(to)), client(from), pump(client, *server, &tap, nullptr, options.pump), platform(std::move(name)) {
    sessions_gauge().add(1);
  }
  ~Impl() {
    if (told) told->session = nullptr;
    sessions_gauge().add(-1);
  }
  /// The placement is about to change: run() ends soon, at once unless QUIT has passed.
  void drain() noexcept {
    if (!tap.quit()) pump.stop();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const std::unique_ptr<net::Connection> server;
  net::Connection& client;
  QuitTap tap;
  net::Pump pump;
  const std::string platform;
  std::shared_ptr<Told> told;
  directory::Guest guest;
};

Relay::Relay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Relay::~Relay() = default;

net::Task<std::unique_ptr<Relay>> Relay::open(RelayServices services, RelayOptions options, net::Connection& client, directory::Located who,
                                              std::optional<std::string> password, std::string session_id) {
  const auto name = who.account.placement.legacy;
  RELAIS_CO_TRY(auto platform, co_await services.moves->platform(name));
  if (!platform) co_return fail(unavailable("", "there is no platform " + name));
  if (!platform->pop3.configured()) co_return fail(unavailable("SYS/PERM", "platform " + platform->name + " has no POP3"));
  RELAIS_CO_TRY(auto reach, co_await services.hosts->find(*platform, platform->pop3));

  ClientOptions to;
  to.service = platform->pop3;
  to.addresses = std::move(reach.addresses);
  to.tls = std::move(reach.tls);
  to.forward = platform->forward;
  to.on_behalf_of = client.endpoints();
  to.session_id = std::move(session_id);
  to.plaintext_allowed = platform->pop3.tls == LegacyService::Tls::none;
  to.capabilities = false;
  to.connect_limit = options.connect_limit;
  to.reply_limit = options.reply_limit;
  RELAIS_CO_TRY_VOID(set_credentials(to, *platform, directory::legacy_user(*platform, who.origin, who.account.address), password));
  auto session = co_await Client::connect(client.loop(), std::move(to));
  if (!session) {
    auto& error = session.error();
    error.detail = "platform " + platform->name + ": " + error.detail;
    // The master's password is ours to know: the user cannot have got it wrong.
    if (error.fault == Fault::refused && !password) error = unavailable("", "the master is refused: " + error.detail);
    co_return fail(std::move(error));
  }
  if (password) {
    services.moves->learn(who.account.number, who.generation, *password);
    directory::wipe(*password);
  }
  auto told = std::make_shared<Impl::Told>();
  auto guest = co_await services.gate->enter(who.account, directory::GuestKind::pop_relay, client.loop(), [told](directory::GateCall call) {
    if (call != directory::GateCall::drain) return;
    told->drained = true;
    if (told->session != nullptr) told->session->drain();
  });
  if (!guest) {
    if (guest.error().code == "PLACEMENT") co_return std::unique_ptr<Relay>();
    co_return fail(std::move(guest).error());
  }
  auto impl = std::make_unique<Impl>((*session)->release(), client, options, platform->name);
  impl->guest = std::move(*guest);
  impl->told = std::move(told);
  impl->told->session = impl.get();
  co_return std::unique_ptr<Relay>(new Relay(std::move(impl)));
}

const std::string& Relay::platform() const noexcept { return impl_->platform; }
std::uint64_t Relay::octets() const noexcept { return impl_->pump.octets(net::Side::server); }

net::asio::awaitable<void> Relay::run(const log::Session& log) {
  auto& self = *impl_;
  net::PumpEnd end;
  if (!self.told->drained) end = co_await self.pump.run();
  self.client.close();
  self.server->close();
  self.guest.leave();
  for (const auto side : {net::Side::client, net::Side::server}) octets_counter(side).add(self.pump.octets(side));
  log.event(log::Level::info, "relay ended",
            {{"platform", self.platform},
             {"reason", to_string(end.why)},
             {"quit", self.tap.quit()},
             {"octets", octets()},
             {"detail", end.error.detail.empty() ? end.error.text : end.error.detail}});
}

}  // namespace relais::pop
