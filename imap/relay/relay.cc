// Opens an IMAP session at a legacy platform and passes octets both ways.
#include "imap/relay/relay.h"

#include "base/metrics.h"
#include "directory/digest.h"
#include "imap/proto/relay_view.h"
#include "imap/relay/client_map.h"
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

/// What the gate has said before there was whom to tell.
struct Told {
  Relay* relay = nullptr;
  std::vector<directory::GateCall> before{};
};

constexpr std::size_t kParkedOctets = 256 * 1024;  // what a platform may say while its client is held

}  // namespace

struct Relay::Impl {
  /// The client's octets.
  struct FromClient final : net::Tap {
    explicit FromClient(Impl& relay) : self(relay) {}
    net::Passage look(std::string_view octets) override {
      const auto step = self.view.from_client(octets);
      self.client_waits = !self.view.client_may_go_on();
      self.note_busy();
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
      self.note_busy();
      if (self.client_waits && self.view.client_may_go_on()) {
        self.client_waits = false;
        self.pump.resume(net::Side::client);
      }
      return {.pass = step.pass, .instead = step.instead, .drop = step.drop, .unseen = step.unseen, .hold = step.hold};
    }
    Impl& self;
  };

  Impl(const RelayServices& services, const RelayOptions& chosen, std::unique_ptr<net::Connection> to, net::Connection& from,
       directory::AccountNumber number, std::string name, std::vector<std::string> announced)
      : moves(*services.moves),
        turns(services.turns),
        options(chosen),
        server(std::move(to)),
        client(from),
        account(number),
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
      case Why::held: return "* BYE [UNAVAILABLE] the mailbox has been moved, connect again\r\n";
      case Why::client_closed:
      case Why::stopped:
      case Why::refused: break;
    }
    return {};
  }

  /// For the mover, who waits where something has run for long.
  void note_busy() noexcept {
    const bool now = view.outstanding() > 0 && view.idle_tag().empty();
    if (now != busy) guest.busy(busy = now);
  }

  void hold(bool on) noexcept {
    view.hold_at_boundary(on);
    if (on) {
      pump.ask(net::Side::client);
      pump.ask(net::Side::server);
    } else {
      pump.resume(net::Side::client);
      pump.resume(net::Side::server);
    }
  }

  net::Task<void> park();
  net::Task<Handover> hand_over();
  net::asio::awaitable<void> say_goodbye(std::string_view words, const log::Session& log);

  directory::Moves& moves;
  const std::shared_ptr<HandoverTurns> turns;
  const RelayOptions options;
  const std::unique_ptr<net::Connection> server;
  net::Connection& client;
  const directory::AccountNumber account;
  const std::string platform;
  const std::vector<std::string> capabilities;
  RelayView view;
  FromClient from_client;
  FromServer from_server;
  net::Pump pump;
  bool client_waits = false;  ///< for the server's sake
  bool busy = true;           ///< as the guest enters
  // what the gate says:
  bool draining = false;
  bool moved = false;
  bool parked = false;     ///< at a boundary, nothing passes
  bool stranded = false;   ///< it moved while something could still pass
  directory::Guest guest;  ///< leaves first
};

void count_handover(bool good) {
  static constexpr auto* kHelp = "Relayed sessions whose account has moved: gone on here, or ended with BYE.";
  static auto& moved = metrics::counter("relais_relay_moved_total", kHelp, {{"protocol", "imap"}, {"result", "moved"}});
  static auto& bye = metrics::counter("relais_relay_moved_total", kHelp, {{"protocol", "imap"}, {"result", "bye"}});
  (good ? moved : bye).add();
}

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
  auto told = std::make_shared<Told>();
  auto guest = co_await services.gate->enter(
      who.account, directory::GuestKind::imap_relay, client.loop(),
      [told](directory::GateCall call) { told->relay != nullptr ? told->relay->hear(call) : told->before.push_back(call); });
  if (!guest && guest.error().code == "PLACEMENT") co_return std::unique_ptr<Relay>();
  if (!guest) co_return fail(std::move(guest).error());
  auto announced = relay_capabilities((*session)->capabilities());
  if (services.capabilities != nullptr) services.capabilities->learned(platform->name, announced);
  if (services.moves_soon && services.moves_soon(who.account.number)) announced = common_capabilities(announced, services.ours);
  auto impl =
      std::make_unique<Impl>(services, options, (*session)->release(), client, who.account.number, platform->name, std::move(announced));
  impl->guest = std::move(*guest);
  std::unique_ptr<Relay> relay(new Relay(std::move(impl)));
  told->relay = relay.get();
  for (const auto call : told->before) relay->hear(call);
  co_return relay;
}

const std::string& Relay::platform() const noexcept { return impl_->platform; }
const std::vector<std::string>& Relay::capabilities() const noexcept { return impl_->capabilities; }
std::uint64_t Relay::octets() const noexcept { return impl_->pump.octets(net::Side::server); }

net::asio::awaitable<std::optional<Handover>> Relay::run(const log::Session& log) {
  auto& self = *impl_;
  // What came before the client could be told anything is still in a buffer: the taps are asked once in any case.
  self.pump.ask(net::Side::server);
  self.pump.ask(net::Side::client);
  net::PumpEnd end;
  std::optional<Handover> handover;
  for (;;) {
    end = co_await self.pump.run();
    if (end.why != Why::held) break;
    if (auto parked = co_await self.park(); !parked) {
      end = {parked.error().code == "shutdown" ? Why::shutdown : Why::server_closed, std::move(parked).error()};
      break;
    }
    if (!self.moved) {
      self.hold(false);
      continue;
    }
    auto left = co_await self.hand_over();
    if (left) {
      handover = std::move(*left);
    } else {
      end.error = std::move(left).error();
      count_handover(false);
    }
    break;
  }
  if (!handover) co_await self.say_goodbye(self.last_words(end.why), log);
  self.server->close();
  self.guest.leave();
  for (const auto side : {net::Side::client, net::Side::server}) octets_counter(side).add(self.pump.octets(side));
  log.event(log::Level::info, handover ? "relay_moved" : "relay_ended",
            {{"platform", self.platform},
             {"reason", handover ? "moved" : to_string(end.why)},
             {"octets", octets()},
             {"detail", end.error.detail.empty() ? end.error.text : end.error.detail}});
  co_return handover;
}

net::asio::awaitable<void> Relay::Impl::say_goodbye(std::string_view words, const log::Session& log) {
  if (!words.empty()) {
    client.queue(words);
    if (auto sent = co_await client.flush(net::in(kByeLimit)); !sent)
      log.event(log::Level::debug, "last_words_lost", {{"reason", sent.error().text}});
  }
  client.close();
}

// At a boundary: rests until the gate has said what comes of it. The client's octets stay in its socket; what the server says stays here.
// Errors: as fill() of the server's connection, whose end makes the session one that cannot go on anywhere.
net::Task<void> Relay::Impl::park() {
  parked = true;
  const auto until = net::in(options.pump.idle);
  while (draining && !moved) {
    guest.rest();  // again for each drain
    RELAIS_CO_TRY_VOID(co_await server->fill(until, net::Awaiting::command));
    if (server->buffered().size() > kParkedOctets) co_return fail(Fault::closed, "the platform talks and talks");
  }
  parked = false;
  co_return Result<void>{};
}

// The account has moved: nothing changes at the platform any more.
net::Task<Handover> Relay::Impl::hand_over() {
  if (stranded) co_return fail(Fault::refused, "the account had moved before the session was at a boundary");
  if (const auto why = view.obstacle(); !why.empty())
    co_return fail(Fault::refused, "the session cannot go on exactly", "", std::string(why));
  HandoverTurn turn;
  if (turns) {
    RELAIS_CO_TRY(turn, co_await turns->take(net::in(options.handover_limit)));
  }
  const auto& state = view.state();
  Handover handover{.who = {},
                    .condstore = state.condstore,
                    .qresync = state.qresync,
                    .utf8_accept = state.utf8_accept,
                    .rev2 = state.rev2,
                    .idle_tag = std::string(view.idle_tag()),
                    .capabilities = capabilities};
  if (state.mailbox == RelayedState::Mailbox::selected) {
    RELAIS_CO_TRY(auto known,
                  co_await ask_client_map(*server, client,
                                          {.idle_tag = handover.idle_tag, .exists = state.exists, .most = options.max_moved_messages},
                                          net::in(options.handover_limit)));
    handover.selected = Handover::Mailbox{.select = state.select,
                                          .utf8 = state.utf8,
                                          .read_only = state.read_only,
                                          .uid_validity = state.uid_validity,
                                          .uids = std::move(known.uids),
                                          .flags = std::move(known.flags)};
  }
  RELAIS_CO_TRY(auto who, co_await moves.located(account));
  if (!who || !who->account.enabled || who->account.placement.kind != directory::Placement::Kind::shard)
    co_return fail(Fault::refused, "the account is not here");
  handover.who = std::move(*who);
  handover.turn = std::move(turn);
  co_return handover;
}

void Relay::hear(directory::GateCall call) noexcept {
  auto& self = *impl_;
  switch (call) {
    case directory::GateCall::drain:
      self.draining = true;
      self.hold(true);
      break;
    case directory::GateCall::released:
      self.draining = false;
      if (!self.parked) self.hold(false);
      break;
    case directory::GateCall::moved:
      self.moved = true;
      self.stranded = !self.parked;
      self.hold(true);
      break;
  }
  if (self.parked) self.server->signal();
}

}  // namespace relais::imap
