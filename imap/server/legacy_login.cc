// Who checks an IMAP client's password.
#include "imap/server/legacy_login.h"

#include "directory/digest.h"

namespace relais::imap {
namespace {

using directory::Placement;

constexpr int kLooks = 3;  // a placement changes a few times in an account's life

std::unexpected<Error> on_the_move() { return fail(Fault::temporary, "the mailbox is being moved, come back soon", "UNAVAILABLE"); }

}  // namespace

LegacyLogin::LegacyLogin(directory::Directory& directory, RelayServices services, const RelayOptions& options, net::Connection& client,
                         std::string session_id)
    : directory_(directory), services_(services), options_(options), client_(client), session_id_(std::move(session_id)) {}
LegacyLogin::~LegacyLogin() = default;

std::unique_ptr<Relay> LegacyLogin::take_relay() noexcept { return std::move(relay_); }

net::Task<std::optional<directory::Located>> LegacyLogin::locate(std::string user) {
  if (services_.moves == nullptr) co_return std::optional<directory::Located>();
  co_return co_await services_.moves->locate(std::move(user));
}

net::Task<bool> LegacyLogin::relay(const directory::Located& who, const std::optional<std::string>& password) {
  RELAIS_CO_TRY(relay_, co_await Relay::open(services_, options_, client_, who, password, session_id_));
  co_return relay_ != nullptr;
}

net::Task<directory::Login> LegacyLogin::home(std::string user, std::string password) {
  const directory::Wiper wiper(password);
  if (services_.moved == nullptr) co_return co_await directory_.authenticate(std::move(user), password);
  directory::LegacyLogin moved(*services_.moved, client_.endpoints().peer_address);
  co_return co_await moved.authenticate(std::move(user), password);
}

net::Task<directory::Login> LegacyLogin::authenticate(std::string user, std::string password) {
  const directory::Wiper wiper(password);
  for (int look = 0; look < kLooks; ++look) {
    RELAIS_CO_TRY(const auto who, co_await locate(user));
    if (!who || who->account.placement.kind == Placement::Kind::shard) co_return co_await home(std::move(user), password);
    if (who->account.placement.kind == Placement::Kind::moving) {
      RELAIS_CO_TRY_VOID(co_await services_.gate->await_settled(who->account.number, net::in(options_.login_wait)));
      continue;
    }
    RELAIS_CO_TRY(const bool open, co_await relay(*who, password));
    if (open) co_return directory::Login{who->account};
  }
  co_return on_the_move();
}

net::Task<directory::ScramKeys> LegacyLogin::scram_keys(std::string user) { return directory_.scram_keys(std::move(user)); }

// The proof was good; there is no password to pass on, so the platform's master opens the session.
net::Task<directory::Login> LegacyLogin::login_verified(std::string user, std::uint64_t generation) {
  for (int look = 0; look < kLooks; ++look) {
    RELAIS_CO_TRY(auto login, co_await directory_.login_verified(user, generation));
    if (services_.moves == nullptr || login.account.placement.kind == Placement::Kind::shard) co_return login;
    if (login.account.placement.kind == Placement::Kind::moving) {
      RELAIS_CO_TRY_VOID(co_await services_.gate->await_settled(login.account.number, net::in(options_.login_wait)));
      continue;
    }
    RELAIS_CO_TRY(const auto who, co_await services_.moves->located(login.account.number));
    if (!who || who->account.placement != login.account.placement) continue;
    RELAIS_CO_TRY(const bool open, co_await relay(*who, std::nullopt));
    if (open) co_return login;
  }
  co_return on_the_move();
}

}  // namespace relais::imap
