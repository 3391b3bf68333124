// Who is asked for a password, how often, and what is kept of the answer.
#include "directory/legacy_login.h"

#include "base/log.h"
#include "directory/digest.h"
#include "directory/password.h"
#include "net/address.h"

namespace relais::directory {
namespace {

std::unexpected<Error> authentication_failed() { return fail(Fault::refused, "authentication failed", "AUTHENTICATIONFAILED"); }

bool is_refusal(const Error& error) { return error.fault == Fault::refused && error.code == "AUTHENTICATIONFAILED"; }

}  // namespace

AskLimits::Key AskLimits::key_of(AccountNumber account, std::string_view address) {
  const auto parsed = net::parse_address(address, 0);
  const auto key = parsed ? net::address_key(*parsed) : net::AddressKey{};
  return {account, key.ipv6, key.value};
}

void AskLimits::forget_old() {
  const auto now = clock_.steady_now();
  std::erase_if(entries_, [now](const auto& entry) { return entry.second.under_way == 0 && now - entry.second.began >= kWindow; });
}

Result<AskLimits::Question> AskLimits::ask(AccountNumber account, std::string_view address) {
  const auto key = key_of(account, address);
  const auto now = clock_.steady_now();
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= max_ && !entries_.contains(key)) forget_old();
  if (entries_.size() >= max_ && !entries_.contains(key)) return authentication_failed();
  auto& entry = entries_.try_emplace(key, Entry{now}).first->second;
  if (now - entry.began >= kWindow) entry = {.began = now, .under_way = entry.under_way};
  if (entry.counted >= kRefusals && entry.refused > 0) return authentication_failed();
  if (entry.counted + entry.under_way >= kRefusals)
    return fail(Fault::temporary, "the account's platform was asked too often", "UNAVAILABLE");
  ++entry.under_way;
  return Question(*this, key);
}

void AskLimits::Question::answered(Answer answer) noexcept {
  if (auto* const limits = std::exchange(limits_, nullptr)) limits->end(key_, answer);
}

void AskLimits::end(const Key& key, Answer answer) noexcept {
  const auto now = clock_.steady_now();
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);  // there is one as long as something is under way
  auto& entry = at->second;
  if (now - entry.began >= kWindow) entry = {.began = now, .under_way = entry.under_way};
  --entry.under_way;
  if (answer != Answer::other) ++entry.counted;
  if (answer == Answer::refused) ++entry.refused;
  if (entry.counted == 0 && entry.under_way == 0) entries_.erase(at);
}

net::Task<Login> LegacyLogin::authenticate(std::string user, std::string password) {
  using Kind = Placement::Kind;
  const Wiper wiper(password);
  RELAIS_CO_TRY(auto found, co_await parts_.moves.locate(user));
  if (found && found->account.placement.kind == Kind::moving) {
    RELAIS_CO_TRY_VOID(co_await parts_.gate.await_settled(found->account.number, net::in(parts_.patience)));
    RELAIS_CO_TRY(found, co_await parts_.moves.locate(user));
    if (found && found->account.placement.kind == Kind::moving)
      co_return fail(Fault::temporary, "the account is being moved", "UNAVAILABLE");
  }
  if (!found || !check_password(password)) co_return co_await parts_.directory.authenticate(std::move(user), password);
  if (found->account.placement.kind == Kind::legacy) co_return co_await ask(*std::move(found), password);

  const bool may_ask = found->knowledge != Knowledge::set && !found->origin.platform.empty();
  if (may_ask && found->knowledge == Knowledge::nothing) co_return co_await ask(*std::move(found), password);
  auto login = co_await parts_.directory.authenticate(std::move(user), password);
  if (login || !may_ask || !is_refusal(login.error())) co_return login;
  co_return co_await ask(*std::move(found), password);
}

net::Task<Login> LegacyLogin::ask(Located account, std::string password) {
  using Answer = AskLimits::Answer;
  const Wiper wiper(password);
  const auto number = account.account.number;
  const auto digest = parts_.accepted.digest(number, account.generation, password);
  if (parts_.accepted.contains(digest)) co_return Login{std::move(account.account), std::move(account.origin.names)};
  RELAIS_CO_TRY(auto platform, co_await parts_.moves.platform(account.platform()));
  if (!platform) co_return fail(Fault::temporary, "the account's platform is not known", "UNAVAILABLE", account.platform());
  RELAIS_CO_TRY(auto question, parts_.limits.ask(number, client_address_));
  auto there = legacy_user(*platform, account.origin, account.account.address);
  LegacyAttempt attempt{
      .platform = *std::move(platform), .user = std::move(there), .password = password, .client_address = client_address_};
  const auto answer = co_await parts_.check.check(std::move(attempt));
  if (!answer) {
    const bool unclear = answer.error().code == "UNCLEAR";
    question.answered(is_refusal(answer.error()) ? Answer::refused : unclear ? Answer::unclear : Answer::other);
    if (!is_refusal(answer.error()))
      co_return fail(Fault::temporary, "the account's platform does not answer", "UNAVAILABLE",
                     answer.error().detail.empty() ? answer.error().text : answer.error().detail);
    co_return authentication_failed();
  }
  question.answered(Answer::other);
  // What has happened meanwhile counts: disabled, removed, moved, or a password set here.
  RELAIS_CO_TRY(auto now, co_await parts_.moves.located(number));
  if (!now || !now->account.enabled || (now->knowledge == Knowledge::set && account.knowledge != Knowledge::set))
    co_return authentication_failed();
  if (now->account.placement != account.account.placement) co_return fail(Fault::temporary, "the account is being moved", "UNAVAILABLE");
  parts_.accepted.remember(digest);
  parts_.moves.learn(number, account.generation, password);
  co_return Login{std::move(now->account), std::move(now->origin.names)};
}

}  // namespace relais::directory
