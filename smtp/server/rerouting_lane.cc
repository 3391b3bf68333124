// Recipients that have another way now are told apart from those that go on.
#include "smtp/server/rerouting_lane.h"

#include "smtp/server/local_lane.h"

#include <utility>

namespace relais::smtp {

net::asio::awaitable<std::vector<std::size_t>> ReroutingLane::still_here(const queue::Dispatch& dispatch,
                                                                         std::vector<queue::RecipientOutcome>& recipients) {
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    auto found = co_await routing_.look_up_account(dispatch.recipients[i].address);
    const bool unknown = !found && found.error().fault != Fault::refused;
    const bool same = found && found->accounts.empty() && found->onward.size() == 1 && found->onward.front().destination == destination_;
    if (same || unknown) rest.push_back(i);
    else recipients[i] = gone_elsewhere(std::move(found));
  }
  co_return rest;
}

net::asio::awaitable<queue::Outcome> ReroutingLane::send(const queue::Dispatch& dispatch) {
  queue::Outcome out;
  out.recipients.resize(dispatch.recipients.size());
  const auto rest = co_await still_here(dispatch, out.recipients);
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
