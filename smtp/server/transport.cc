// Which lane a destination gets.
#include "smtp/server/transport.h"

#include "smtp/server/local_lane.h"
#include "smtp/server/rerouting_lane.h"

namespace relais::smtp {
namespace {

/// For destinations that are none: a record of a newer release, or damaged.
class NoLane final : public queue::Lane {
 public:
  explicit NoLane(std::string why) : why_(std::move(why)) {}
  net::asio::awaitable<queue::Outcome> send(const queue::Dispatch& dispatch) override {
    queue::Outcome out;
    queue::RecipientOutcome each;
    each.status = "4.3.5";
    each.text = why_;
    out.recipients.assign(dispatch.recipients.size(), each);
    out.health = queue::Health::unreachable;
    out.trouble = why_;
    out.open = false;
    co_return out;
  }
  net::asio::awaitable<void> close() override { co_return; }

 private:
  std::string why_;
};

}  // namespace

std::unique_ptr<queue::Lane> PlatformTransport::lane(const std::string& destination, net::Loop& loop) {
  using Kind = Destination::Kind;
  const auto parsed = parse_destination(destination);
  if (!parsed) return std::make_unique<NoLane>("this release knows no destination " + destination);
  switch (parsed->kind) {
    case Kind::local: return std::make_unique<LocalLane>(parts_.routing, parts_.store, parts_.clock);
    case Kind::account: return std::make_unique<AccountLane>(parts_.routing);
    case Kind::mx:
    case Kind::smtp:
    case Kind::lmtp:
    case Kind::legacy: break;
  }
  return std::make_unique<ReroutingLane>(remote_.lane(destination, loop), parts_.routing, parts_.gate, loop, destination);
}

}  // namespace relais::smtp
