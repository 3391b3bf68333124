// From an address to accounts, next hops and reversed senders.
#include "smtp/server/routing.h"

#include "base/ascii.h"
#include "message/address.h"
#include "message/srs.h"
#include "smtp/outbound/destination.h"

namespace relais::smtp {
namespace {

Whereabouts only(Onward way) {
  Whereabouts found{.kind = Whereabouts::Kind::known};
  found.onward.push_back(std::move(way));
  return found;
}

// "SRS0=", "SRS1+", …: cheap, so that ordinary addresses ask nobody.
bool looks_rewritten(std::string_view local_part) noexcept {
  return local_part.size() > 5 && istarts_with(local_part, "SRS") && (local_part[3] == '0' || local_part[3] == '1') &&
         std::string_view("=+-").contains(local_part[4]);
}

void place(Whereabouts& found, directory::Account account) {
  using Kind = directory::Placement::Kind;
  switch (account.placement.kind) {
    case Kind::shard: found.accounts.push_back(std::move(account)); return;
    case Kind::legacy: {
      auto where = to_string(Destination{Destination::Kind::legacy, account.placement.legacy});
      found.onward.push_back({Onward::Why::legacy, account.address, std::move(where), std::move(account)});
      return;
    }
    case Kind::moving:
      found.onward.push_back({Onward::Why::moving, std::move(account.address),
                              to_string(Destination{Destination::Kind::account, std::to_string(account.number)})});
      return;
  }
}

}  // namespace

net::Task<std::string> Routing::way_to(std::string domain) {
  if (domain.starts_with('[')) co_return to_string(Destination{Destination::Kind::mx, std::move(domain)});
  RELAIS_CO_TRY(const auto route, co_await directory_.route_of(domain));
  co_return to_string(route ? destination_of(*route, domain) : Destination{Destination::Kind::mx, std::move(domain)});
}

net::Task<bool> Routing::is_srs(const std::string& local_part, const std::string& domain) {
  if (!looks_rewritten(local_part) || domain.starts_with('[')) co_return false;
  co_return co_await directory_.is_local_domain(domain);
}

// What was forwarded through our alias comes back: to the sender, who may be one of ours by now.
net::Task<Whereabouts> Routing::reverse(std::string address, std::string domain) {
  RELAIS_CO_TRY(auto secrets, co_await directory_.srs_secrets());
  const message::Srs srs({.domain = std::move(domain), .secrets = std::move(secrets)});
  RELAIS_CO_TRY(auto sender, srs.reverse(address, clock_.seconds()));
  const auto parsed = message::parse_mailbox(sender, true);
  if (!parsed) co_return fail(Fault::refused, "no such mailbox", "5.1.1");
  RELAIS_CO_TRY(const bool ours, co_await directory_.is_local_domain(parsed->domain));
  if (ours && !looks_rewritten(parsed->local_part)) co_return co_await look_up(std::move(sender));
  if (ours) co_return fail(Fault::refused, "no such mailbox", "5.1.1");  // a chain of rewritings that ends here is not one that we made
  RELAIS_CO_TRY(auto way, co_await way_to(parsed->domain));
  co_return only({Onward::Why::bounce, std::move(sender), std::move(way)});
}

net::Task<Whereabouts> Routing::look_up(std::string address) {
  using Kind = directory::Recipient::Kind;
  const auto parsed = message::parse_mailbox(address, true);
  if (parsed) {
    RELAIS_CO_TRY(const bool rewritten, co_await is_srs(parsed->local_part, parsed->domain));
    if (rewritten) co_return co_await reverse(std::move(address), parsed->domain);
  }
  auto found = co_await directory_.resolve(address);
  if (!found) {
    auto why = std::move(found).error();
    if (why.fault == Fault::syntax || why.fault == Fault::refused) co_return fail(Fault::refused, "no such mailbox", "5.1.1", why.detail);
    co_return fail(std::move(why));
  }
  switch (found->kind) {
    case Kind::disabled: co_return Whereabouts{.kind = Whereabouts::Kind::disabled};
    case Kind::unknown: {
      if (!parsed) co_return Whereabouts{};
      RELAIS_CO_TRY(const auto route, co_await directory_.route_of(parsed->domain));
      if (!route || route->domain != parsed->domain) co_return Whereabouts{};
      co_return only({Onward::Why::relay, std::move(address), to_string(destination_of(*route, parsed->domain))});
    }
    case Kind::not_local: {
      if (!parsed) co_return fail(Fault::refused, "no such mailbox", "5.1.1");
      RELAIS_CO_TRY(auto way, co_await way_to(parsed->domain));
      auto out = only({Onward::Why::remote, std::move(address), std::move(way)});
      out.kind = Whereabouts::Kind::foreign;
      co_return out;
    }
    case Kind::accounts: break;
  }
  Whereabouts out{.kind = Whereabouts::Kind::known};
  for (auto& account : found->accounts) place(out, std::move(account));
  for (auto& target : found->remote) {
    const auto next = message::parse_mailbox(target, true);
    if (!next) continue;  // the directory checked it when the alias was made
    RELAIS_CO_TRY(auto way, co_await way_to(next->domain));
    out.onward.push_back({Onward::Why::forward, std::move(target), std::move(way)});
  }
  co_return out;
}

net::Task<Whereabouts> Routing::look_up_account(std::string address) {
  auto account = co_await directory_.find(address);
  if (!account && account.error().fault != Fault::syntax && account.error().fault != Fault::refused)
    co_return fail(std::move(account).error());
  if (!account || !*account) co_return co_await look_up(std::move(address));
  if (!(*account)->enabled) co_return Whereabouts{.kind = Whereabouts::Kind::disabled};
  Whereabouts out{.kind = Whereabouts::Kind::known};
  place(out, std::move(**account));
  co_return out;
}

net::Task<std::string> Routing::destination(std::string address) {
  RELAIS_CO_TRY(const auto found, co_await look_up(std::move(address)));
  switch (found.kind) {
    case Whereabouts::Kind::unknown: co_return fail(Fault::refused, "no such mailbox", "5.1.1");
    case Whereabouts::Kind::disabled: co_return fail(Fault::refused, "mailbox disabled", "5.2.1");
    case Whereabouts::Kind::foreign: co_return found.onward.front().destination;
    case Whereabouts::Kind::known: break;
  }
  // One account elsewhere is told by its own address; everything else is opened up where it is delivered.
  const bool one = found.accounts.empty() && found.onward.size() == 1;
  if (one && (found.onward.front().why == Onward::Why::relay)) co_return found.onward.front().destination;
  co_return to_string(Destination{Destination::Kind::local, {}});
}

net::Task<std::string> Routing::forward_sender(std::string sender, std::string through) {
  if (sender.empty()) co_return sender;
  const auto from = message::parse_mailbox(sender, true);
  const auto alias = message::parse_mailbox(through, true);
  if (!from || !alias) co_return fail(Fault::refused, "this sender's mail can't be forwarded", "5.1.7");
  if (!from->domain.starts_with('[')) {
    RELAIS_CO_TRY(const bool ours, co_await directory_.is_local_domain(from->domain));
    if (ours) co_return sender;
  }
  RELAIS_CO_TRY(auto secrets, co_await directory_.srs_secrets());
  const message::Srs srs({.domain = alias->domain, .secrets = std::move(secrets)});
  co_return srs.forward(sender, clock_.seconds());
}

}  // namespace relais::smtp
