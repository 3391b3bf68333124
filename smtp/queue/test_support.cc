// A world for tests of the queue.
#include "smtp/queue/test_support.h"

#include "base/encode.h"
#include "smtp/queue/record.h"

#include <algorithm>

namespace relais::smtp::queue::testing {

class World::FakeLane final : public Lane {
 public:
  FakeLane(World& world, std::string destination) : world_(world), destination_(std::move(destination)) {
    auto& open = ++world_.open_lanes[destination_];
    world_.most_lanes[destination_] = std::max(world_.most_lanes[destination_], open);
    world_.most_all_lanes = std::max(world_.most_all_lanes, ++world_.all_lanes);
  }
  ~FakeLane() override {
    --world_.open_lanes[destination_];
    --world_.all_lanes;
  }
  FakeLane(const FakeLane&) = delete;
  FakeLane& operator=(const FakeLane&) = delete;

  net::asio::awaitable<Outcome> send(const Dispatch& dispatch) override {
    auto reply = world_.serve(destination_, dispatch);
    std::string content;
    if (dispatch.report && world_.keep_reports) (void)co_await dispatch.content->read(0, dispatch.content->size(), content);
    if (reply.takes.count() != 0) co_await world_.sleep(reply.takes);
    for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
      world_.sent.push_back({.time = world_.milliseconds_now(),
                             .destination = destination_,
                             .trace_id = dispatch.trace_id,
                             .sender = dispatch.sender,
                             .address = dispatch.recipients[i].address,
                             .disposition = reply.outcome.recipients[i].disposition,
                             .content = content});
    }
    co_return std::move(reply.outcome);
  }
  net::asio::awaitable<void> close() override { co_return; }

 private:
  World& world_;
  const std::string destination_;
};

World::World(std::size_t shards, QueueOptions with, Rules under) : options(std::move(with)), rules(std::move(under)) {
  for (std::size_t i = 0; i < shards; ++i) {
    memory.push_back(storage::make_memory_engine());
    engines.push_back(memory.back().get());
  }
  make_queue();
}

World::World(std::vector<storage::Engine*> with_engines, QueueOptions with, Rules under)
    : engines(std::move(with_engines)), options(std::move(with)), rules(std::move(under)) {
  make_queue();
}

World::~World() {
  if (queue) (void)queue->stop();
  sleepers_.clear();  // ends the coroutines that wait in them
  while (loop.step(false)) {
  }
  queue.reset();
}

void World::make_queue() {
  if (!serve) serve = [](const std::string&, const Dispatch& dispatch) { return FakeReply{all(dispatch, Disposition::relayed)}; };
  options.storage_pause = milliseconds(0);
  options.poll = seconds(10);
  if (!options.random) options.random = [this] { return (++draws_ % 97) / 97.0; };
  queue = std::make_unique<Queue>(
      QueueParts{.shards = engines, .transport = *this, .router = *this, .store = nullptr, .trace = trace, .clock = clock}, options, rules);
  if (const auto opened = queue->open(); !opened) throw std::runtime_error(opened.error().detail);
}

void World::restart() {
  // Frames that wait are those of the process that was killed: their resumptions are dropped, and with them the coroutines.
  (void)queue->stop();
  sleepers_.clear();
  while (loop.step(false)) {
  }
  queue.reset();
  make_queue();
}

std::unique_ptr<Lane> World::lane(const std::string& destination, net::Loop&) { return std::make_unique<FakeLane>(*this, destination); }

net::Task<std::string> World::destination(std::string address) {
  if (route_takes.count() != 0) co_await sleep(route_takes);
  if (route) co_return route(address);
  co_return "mx:" + address.substr(address.find('@') + 1);
}

net::asio::awaitable<void> World::sleep(milliseconds time) {
  const auto until = milliseconds_now() + time.count();
  co_await storage::suspend([this, until](storage::Resumption resumption) { sleepers_.emplace(until, std::move(resumption)); });
}

std::int64_t World::milliseconds_now() const { return std::chrono::duration_cast<milliseconds>(clock.now().time_since_epoch()).count(); }

bool World::turn() {
  // Not without end: what tries again and again must see time go by.
  constexpr int kSteps = 2'000;
  bool any = false;
  for (int i = 0; i < kSteps && loop.step(false); ++i) any = i + 1 < kSteps;
  return any;
}

void World::run_for(milliseconds time, const std::function<bool()>& done) {
  const auto end = milliseconds_now() + time.count();
  for (;;) {
    turn();
    if (done && done()) return;
    const auto next = std::chrono::duration_cast<milliseconds>(queue->work(loop).time_since_epoch()).count();
    if (turn()) continue;
    if (done && done()) return;
    const auto at = std::min(next, sleepers_.empty() ? next : sleepers_.begin()->first);
    if (at > end) {
      clock.advance(milliseconds(end - milliseconds_now()));
      return;
    }
    clock.advance(milliseconds(std::max<std::int64_t>(0, at - milliseconds_now())));
    while (!sleepers_.empty() && sleepers_.begin()->first <= milliseconds_now()) {
      auto sleeper = std::move(sleepers_.begin()->second);
      sleepers_.erase(sleepers_.begin());
      storage::Resumption::post(std::move(sleeper));
    }
  }
}

NewMessage World::message(const std::string& trace_id, const std::vector<std::string>& addresses, std::string_view body) const {
  NewMessage out;
  out.trace_id = trace_id;
  out.sender = "sender@here.example";
  for (const auto& address : addresses) {
    out.recipients.push_back(
        {.address = address, .given = {}, .original = {}, .notify = {}, .destination = "mx:" + address.substr(address.find('@') + 1)});
  }
  const auto octets = "From: sender@here.example\r\nSubject: " + trace_id + "\r\n\r\n" + std::string(body);
  out.content = storage::make_blob("Received: by here.example\r\n", storage::encode_chunks(octets));
  out.client = "client.example [192.0.2.7]";
  out.message_id = "<" + trace_id + "@here.example>";
  return out;
}

std::vector<Sent> World::sent_to(std::string_view address) const {
  std::vector<Sent> out;
  std::ranges::copy_if(sent, std::back_inserter(out), [address](const Sent& one) { return one.address == address; });
  return out;
}

std::vector<std::string> World::keys() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < engines.size(); ++i) {
    const auto view = engines[i]->view().value();
    (void)view->for_each_key([&](storage::AccountId, const storage::KeyValue& entry) {
      out.push_back(std::to_string(i) + ' ' + std::string(entry.key.substr(0, 1)) + to_hex(entry.key.substr(1)));
      return true;
    });
    (void)view->for_each_blob([&](storage::BlobId blob, std::uint64_t references) {
      out.push_back(std::to_string(i) + " blob " + std::to_string(static_cast<std::uint64_t>(blob)) + ' ' + std::to_string(references));
      return true;
    });
  }
  return out;
}

Outcome all(const Dispatch& dispatch, Disposition disposition, std::uint16_t code, std::string text) {
  Outcome outcome;
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    outcome.recipients.push_back(
        {.disposition = disposition, .code = code, .status = {}, .text = text, .host = "mx.example [192.0.2.1]:25", .remote = true});
  }
  return outcome;
}

Outcome unreachable(const Dispatch& dispatch, std::string why) {
  Outcome outcome;
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    outcome.recipients.push_back(
        {.disposition = Disposition::temporary, .code = 0, .status = "4.4.1", .text = why, .host = {}, .remote = false});
  }
  outcome.health = Health::unreachable;
  outcome.trouble = std::move(why);
  outcome.open = false;
  return outcome;
}

}  // namespace relais::smtp::queue::testing
