// Recipients that have another way now are told apart from those that go on.
#include "smtp/server/rerouting_lane.h"

#include "smtp/outbound/destination.h"
#include "smtp/server/local_lane.h"

#include <utility>

namespace relais::smtp {

namespace {

constexpr int kLooks = 3;  // at an account whose placement changes between the look and the gate

}  // namespace

ReroutingLane::ReroutingLane(std::unique_ptr<queue::Lane> next, Routing& routing, directory::PlacementGate& gate, net::Loop& loop,
                             std::string destination)
    : next_(std::move(next)),
      routing_(routing),
      gate_(gate),
      loop_(loop),
      destination_(std::move(destination)),
      legacy_(destination_.starts_with(to_string(Destination{Destination::Kind::legacy, {}}))) {}

net::asio::awaitable<bool> ReroutingLane::goes_on(const std::string& address, queue::RecipientOutcome& recipient,
                                                  std::vector<directory::Guest>& guests) {
  std::string why;
  for (int look = 0; look < kLooks; ++look) {
    auto found = co_await routing_.look_up_account(address);
    const bool unknown = !found && found.error().fault != Fault::refused;
    if (unknown && !legacy_) co_return true;
    why = "the account's placement cannot be read";
    if (unknown) break;
    const bool same = found && found->accounts.empty() && found->onward.size() == 1 && found->onward.front().destination == destination_;
    if (!same) {
      recipient = gone_elsewhere(std::move(found));
      co_return false;
    }
    const auto& account = found->onward.front().account;
    if (!account) co_return true;
    auto guest = co_await gate_.enter(*account, directory::GuestKind::smtp_transfer, loop_, {});
    if (guest) {
      guests.push_back(std::move(*guest));
      co_return true;
    }
    why = guest.error().text;
    if (guest.error().code != "PLACEMENT") break;
  }
  recipient.disposition = queue::Disposition::temporary;
  recipient.status = "4.3.0";
  recipient.text = std::move(why);
  co_return false;
}

net::asio::awaitable<std::vector<std::size_t>> ReroutingLane::still_here(const queue::Dispatch& dispatch,
                                                                         std::vector<queue::RecipientOutcome>& recipients,
                                                                         std::vector<directory::Guest>& guests) {
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    if (co_await goes_on(dispatch.recipients[i].address, recipients[i], guests)) rest.push_back(i);
  }
  co_return rest;
}

net::asio::awaitable<queue::Outcome> ReroutingLane::send(const queue::Dispatch& dispatch) {
  queue::Outcome out;
  out.recipients.resize(dispatch.recipients.size());
  std::vector<directory::Guest> guests;  // until the host has answered
  const auto rest = co_await still_here(dispatch, out.recipients, guests);
  if (rest.empty()) co_return out;
  if (rest.size() == dispatch.recipients.size()) co_return co_await next_->send(dispatch);
  auto fewer = dispatch;
  fewer.recipients.clear();
  for (const auto i : rest) fewer.recipients.push_back(dispatch.recipients[i]);
  auto sent = co_await next_->send(fewer);
  for (std::size_t k = 0; k < rest.size(); ++k) out.recipients[rest[k]] = std::move(sent.recipients[k]);
  sent.recipients = std::move(out.recipients);
  co_return sent;
}

}  // namespace relais::smtp
