// Who checks the password of a session that may have to go on elsewhere.
#include "directory/relayed_login.h"

#include "directory/digest.h"

namespace relais::directory {
namespace {

constexpr int kLooks = 3;  // a placement changes a few times in an account's life

std::unexpected<Error> on_the_move(std::string_view detail) {
  return fail(Fault::temporary, "the mailbox is being moved, come back soon", "UNAVAILABLE", detail);
}

}  // namespace

RelayedLogin::RelayedLogin(const RelayedLoginParts& parts, std::string client_address, std::chrono::milliseconds wait, Open open)
    : parts_(parts), client_address_(std::move(client_address)), wait_(wait), open_(std::move(open)) {}

net::Task<std::optional<Located>> RelayedLogin::locate(std::string user) {
  if (parts_.moves == nullptr) co_return std::optional<Located>();
  co_return co_await parts_.moves->locate(std::move(user));
}

net::Task<Login> RelayedLogin::home(std::string user, std::string password) {
  const Wiper wiper(password);
  if (parts_.moved == nullptr) co_return co_await parts_.directory.authenticate(std::move(user), password);
  LegacyLogin moved(*parts_.moved, client_address_);
  co_return co_await moved.authenticate(std::move(user), password);
}

net::Task<void> RelayedLogin::await_settled(AccountNumber account) {
  const auto settled = co_await parts_.gate->await_settled(account, net::in(wait_));
  // An account that is gone is looked up again like any other.
  if (!settled && settled.error().code != "NONEXISTENT") co_return on_the_move(settled.error().detail);
  co_return Result<void>{};
}

net::Task<Login> RelayedLogin::authenticate(std::string user, std::string password) {
  const Wiper wiper(password);
  for (int look = 0; look < kLooks; ++look) {
    RELAIS_CO_TRY(const auto who, co_await locate(user));
    if (!who || who->account.placement.kind == Placement::Kind::shard) co_return co_await home(std::move(user), password);
    if (who->account.placement.kind == Placement::Kind::moving) {
      RELAIS_CO_TRY_VOID(co_await await_settled(who->account.number));
      continue;
    }
    RELAIS_CO_TRY(const bool open, co_await open_(*who, password));
    if (open) co_return Login{who->account, who->origin.names};
  }
  co_return on_the_move("its placement changes all the time");
}

net::Task<Login> RelayedLogin::login_verified(std::string user, std::uint64_t generation) {
  for (int look = 0; look < kLooks; ++look) {
    RELAIS_CO_TRY(auto login, co_await parts_.directory.login_verified(user, generation));
    if (parts_.moves == nullptr || login.account.placement.kind == Placement::Kind::shard) co_return login;
    if (login.account.placement.kind == Placement::Kind::moving) {
      RELAIS_CO_TRY_VOID(co_await await_settled(login.account.number));
      continue;
    }
    RELAIS_CO_TRY(const auto who, co_await parts_.moves->located(login.account.number));
    if (!who || who->account.placement != login.account.placement) continue;
    RELAIS_CO_TRY(const bool open, co_await open_(*who, std::nullopt));
    if (open) co_return login;
  }
  co_return on_the_move("its placement changes all the time");
}

}  // namespace relais::directory
