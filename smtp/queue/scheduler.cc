// Fair shares of connections, gates of destinations in trouble, and cursors over a backlog that stays on disk.
#include "smtp/queue/scheduler.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace relais::smtp::queue {
namespace {

constexpr std::size_t kReadyBusy = 64;          // jobs of a destination held in memory while it has lanes …
constexpr std::size_t kReadyIdle = 8;           // … and while it has none
constexpr std::size_t kReadyLow = 16;           // fewer: look for more while the others are tried
constexpr std::size_t kLeastLook = 8;           // jobs asked for in one look
constexpr std::uint32_t kStrikes = 5;           // times "busy" in a row that shut the gate
constexpr std::uint32_t kFairTurn = 20;         // jobs that a lane may do while another destination has no lane at all
constexpr Instant kIdleKept = 10 * 60 * 1'000;  // ms: how long it is remembered how a destination without work did
constexpr std::size_t kIdleDestinations = 10'000;
constexpr Instant kRest = 2'000;        // ms that a lane waits for another job with its connection open
constexpr Instant kSlow = 3'000;        // ms for a message, in the mean, from which on a destination is slow
constexpr double kPaceWeight = 0.25;    // of the last message in that mean
constexpr double kBurst = 10.0 / 60.0;  // of a minute's messages may go at once under a rate limit

Instant instant_of(std::int64_t seconds) noexcept { return seconds > kNever / 1'000 ? kNever : seconds * 1'000; }

}  // namespace

/// Everything but the name is guarded by the scheduler's mutex.
class Scheduler::Destination {
 public:
  explicit Destination(std::string_view called) : name(called), local(called == "local" || called.starts_with("account:")) {}

  struct Cursor {
    std::uint16_t shard = 0;
    PriorityClass priority = 0;
    std::optional<Position> from;  ///< none while it is being looked at: then only what was added meanwhile
  };
  struct Ready {
    Position position;
    std::uint16_t shard = 0;
    friend auto operator<=>(const Ready&, const Ready&) = default;
  };
  using Job = std::pair<std::uint16_t, MessageId>;
  struct Busy {
    std::optional<Position> ticket;    ///< none: claimed by somebody else than a lane
    std::optional<Position> appeared;  ///< where the job was put meanwhile
    Instant since = 0;
  };
  /// What is known of it; each has its line, and but for the first its bound of connections.
  enum class Line : std::uint8_t { none, local, healthy, slow, fresh, sick };
  static constexpr std::size_t kLines = 6;

  const std::string name;
  const bool local;
  std::vector<Cursor> cursors;
  std::set<Ready> ready;
  std::map<Job, Busy> busy;
  std::uint32_t looking = 0;  ///< scans that lanes are at
  std::uint32_t limit = 0;    ///< lanes, as adapted; 0: not decided yet
  std::uint32_t round = 0;    ///< successes since the limit last changed
  std::uint32_t ceiling = 0;  ///< of the limit, until `ceiling_until`: how many were there when one more was refused
  Instant ceiling_until = 0;
  std::uint32_t lanes = 0;
  std::vector<Turn*> resting;  ///< of the lanes, those that rest; who has rested for the shortest time last
  std::uint32_t hungry = 0;
  std::uint32_t proven = 0;
  std::uint32_t leaving = 0;  ///< of the lanes, those that were told to end
  std::uint32_t failures = 0;
  std::uint32_t strikes = 0;
  bool good = false;  ///< has taken mail since it is remembered
  double pace = 0;    ///< ms that a message takes, in the mean
  Instant gate = 0;
  std::string trouble;
  double tokens = -1;  ///< of the rate limit; below 0: full
  Instant tokens_at = 0;
  Line line = Line::none;
  std::uint64_t waits_since = 0;  ///< a running number
  std::list<Destination*>::iterator place{};
  Instant timer = kNever;
  bool active = false;
  bool idle = false;
};

const std::string& Scheduler::Turn::name() const noexcept { return destination->name; }

struct Scheduler::Impl {
  using Line = Destination::Line;

  Impl(std::uint32_t most, std::size_t shard_count, std::function<Rule(std::string_view)> rule_of, std::function<double()> draw)
      : connections(std::max(most, 1U)), rules(std::move(rule_of)), random(std::move(draw)), blocked(shard_count, 0) {}

  // ---- destinations
  Destination& get(std::string_view name) {
    const auto found = all.find(name);
    if (found != all.end()) return *found->second;
    return *all.emplace(std::string(name), std::make_shared<Destination>(name)).first->second;
  }
  Destination* find(std::string_view name) const {
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second.get();
  }

  static Destination::Cursor& cursor(Destination& d, std::uint16_t shard, PriorityClass priority) {
    const auto found = std::ranges::find_if(d.cursors, [&](const auto& one) { return one.shard == shard && one.priority == priority; });
    return found != d.cursors.end() ? *found : d.cursors.emplace_back(shard, priority, std::nullopt);
  }
  static void move_back(Destination& d, std::uint16_t shard, const Position& position) {
    auto& at = cursor(d, shard, position.priority);
    if (!at.from || position < *at.from) at.from = position;
  }
  bool due(const Destination::Cursor& one, Instant now) const {
    return one.from && instant_of(one.from->due) <= now && blocked[one.shard] <= now;
  }
  bool any_due(const Destination& d, Instant now) const {
    return std::ranges::any_of(d.cursors, [this, now](const auto& one) { return due(one, now); });
  }
  Instant earliest(const Destination& d) const {
    Instant first = kNever;
    for (const auto& one : d.cursors) {
      if (one.from) first = std::min(first, std::max(instant_of(one.from->due), blocked[one.shard]));
    }
    return first;
  }

  /// @param seen  in a snapshot, which may be older than what became of the job meanwhile; else it is known to be there now
  void make_ready(Destination& d, std::uint16_t shard, const Position& position, bool seen, Instant now) {
    if (const auto taken = d.busy.find({shard, position.id}); taken != d.busy.end()) {
      if (!seen || taken->second.ticket != position) taken->second.appeared = position;
      return;
    }
    std::erase_if(d.ready, [&](const Destination::Ready& one) { return one.shard == shard && one.position.id == position.id; });
    const auto room = d.lanes != 0 ? kReadyBusy : kReadyIdle;
    if (instant_of(position.due) > now || d.gate > now || blocked[shard] > now) {
      move_back(d, shard, position);
      return;
    }
    d.ready.insert({position, shard});
    while (d.ready.size() > room) {
      const auto last = std::prev(d.ready.end());
      move_back(d, last->shard, last->position);
      d.ready.erase(last);
    }
  }

  void forget_ready(Destination& d, std::size_t keep) {
    while (d.ready.size() > keep) {
      const auto last = std::prev(d.ready.end());
      move_back(d, last->shard, last->position);
      d.ready.erase(last);
    }
  }

  /// A job is nobody's any more.
  void give_back(Destination& d, std::uint16_t shard, MessageId id, Instant now) {
    const auto found = d.busy.find({shard, id});
    if (found == d.busy.end()) return;
    const auto appeared = found->second.appeared;
    if (found->second.ticket) --in_flight;
    d.busy.erase(found);
    if (appeared) make_ready(d, shard, *appeared, false, now);
  }

  // ---- what a destination may do
  static std::uint32_t allowed(Destination& d, const Rule& rule) {
    if (d.limit == 0) d.limit = rule.initial_concurrency;
    if (d.failures != 0) return 1;
    return std::min(d.limit, rule.concurrency);
  }

  static double capacity(const Rule& rule) { return std::max(1.0, rule.rate * kBurst); }
  static void refill(Destination& d, const Rule& rule, Instant now) {
    if (rule.rate == 0) return;
    if (d.tokens < 0) d.tokens = capacity(rule);
    if (now > d.tokens_at && d.tokens_at != 0) d.tokens += static_cast<double>(now - d.tokens_at) * rule.rate / 60'000.0;
    d.tokens = std::min(d.tokens, capacity(rule));
    d.tokens_at = now;
  }
  static Instant token_at(const Destination& d, const Rule& rule, Instant now) {
    if (rule.rate == 0 || d.tokens >= 1) return now;
    return now + 1 + static_cast<Instant>((1 - d.tokens) * 60'000.0 / rule.rate);
  }

  std::uint32_t share() const {
    return std::max<std::uint32_t>(1, connections / 2 / static_cast<std::uint32_t>(std::max<std::size_t>(1, active)));
  }
  /// Lanes that all destinations of a kind may have together. Of the fresh ones nothing is known: they may all be dead.
  std::uint32_t quota(Line kind) const {
    switch (kind) {
      case Line::fresh: return std::max(1U, connections / 2);
      case Line::slow:
      case Line::sick: return std::max(1U, connections / 4);
      default: return connections;
    }
  }
  static Line kind_of(const Destination& d) {
    if (d.local) return Line::local;
    if (d.failures != 0) return Line::sick;
    if (!d.good) return Line::fresh;
    return d.pace > kSlow ? Line::slow : Line::healthy;
  }
  std::uint32_t& lanes_of(Line kind) { return lanes_by_kind[static_cast<std::size_t>(kind)]; }
  std::uint32_t remote_lanes() const { return all_lanes - lanes_by_kind[static_cast<std::size_t>(Line::local)]; }

  // What others hold, who are slow or dead, must not keep the healthy ones from their three quarters.
  bool eligible(const Destination& d) {
    const auto kind = kind_of(d);
    const auto used = kind == Line::healthy ? lanes_of(kind) : remote_lanes();
    return used < connections - connections / 4 || d.lanes < share();
  }

  void learn(Destination& d, std::uint32_t failures, bool good) {
    lanes_of(kind_of(d)) -= d.lanes;
    d.failures = failures;
    d.good = good;
    lanes_of(kind_of(d)) += d.lanes;
  }
  void learn_pace(Destination& d, Instant took) {
    lanes_of(kind_of(d)) -= d.lanes;
    d.pace += (static_cast<double>(took) - d.pace) * (d.good ? kPaceWeight : 1.0);
    lanes_of(kind_of(d)) += d.lanes;
  }

  void shut_gate(Destination& d, const Rule& rule, std::string_view trouble, Instant now) {
    if (d.gate > now) return;  // lanes that ended together count once
    learn(d, d.failures + 1, d.good);
    d.gate = now + rule.retry.pause(d.failures, random()).count();
    d.trouble = trouble;
    d.strikes = 0;
  }

  /// Other lanes of the same destination that have got mail through, and are at work now: one that rests says nothing about this moment.
  static std::uint32_t others_of(const Turn& turn) {
    const auto& d = *turn.destination;
    const auto at_rest = static_cast<std::uint32_t>(std::ranges::count_if(d.resting, &Turn::proven));
    return d.proven - at_rest - (turn.proven && !turn.resting ? 1U : 0U);
  }

  void judge(Turn& turn, Health health, std::string_view trouble, Instant now) {
    auto& d = *turn.destination;
    const auto rule = rules(d.name);
    const auto lanes_now = allowed(d, rule);
    switch (health) {
      case Health::good:
        learn(d, 0, true);
        d.strikes = 0;
        d.gate = 0;
        d.trouble.clear();
        if (!turn.proven) {
          turn.proven = true;
          ++d.proven;
        }
        if (++d.round >= lanes_now && d.limit < (d.ceiling_until > now ? std::min(rule.concurrency, d.ceiling) : rule.concurrency)) {
          ++d.limit;
          d.round = 0;
        }
        return;
      case Health::busy:
        d.trouble = trouble;
        d.limit = std::max(1U, d.limit / 2);
        d.round = 0;
        if (++d.strikes >= kStrikes) shut_gate(d, rule, trouble, now);
        return;
      case Health::unreachable:
        d.round = 0;
        // While other lanes get through it has merely enough of us: as many as they are is what it takes, for a while.
        if (const auto others = others_of(turn); others != 0) {
          d.limit = std::clamp(others, 1U, std::max(1U, d.limit));
          d.ceiling = d.limit;
          d.ceiling_until = now + rule.retry.pause(1, random()).count();
          d.trouble = trouble;
        } else {
          d.limit = std::max(1U, d.limit / 2);
          shut_gate(d, rule, trouble, now);
        }
        return;
    }
  }

  // ---- lines and timers
  std::list<Destination*>& line_of(Line line) { return lines[static_cast<std::size_t>(line)]; }
  const std::list<Destination*>& line_of(Line line) const { return lines[static_cast<std::size_t>(line)]; }

  void leave_line(Destination& d) {
    if (d.line == Line::none) return;
    line_of(d.line).erase(d.place);
    d.line = Line::none;
  }

  void set_timer(Destination& d, Instant at) {
    if (d.timer == at) return;
    if (d.timer != kNever) timers.erase({d.timer, &d});
    d.timer = at;
    if (at != kNever) timers.emplace(at, &d);
  }

  // ---- lanes that rest
  bool may_rest(const Turn& turn, const Rule& rule, Instant now) const {
    const auto& d = *turn.destination;
    if (!turn.ring || stopped || d.local || !turn.proven || d.failures != 0 || d.gate > now) return false;
    if (turn.jobs >= rule.messages_per_connection || std::chrono::milliseconds(now - turn.started) >= rule.connection_time) return false;
    return remote_lanes() <= connections / 2 && (turn.rest_until == 0 || now < turn.rest_until);
  }
  void rest(Turn& turn, Instant now) {
    auto& d = *turn.destination;
    if (turn.rest_until == 0) turn.rest_until = now + kRest;
    if (std::exchange(turn.hungry, false)) --d.hungry;
    turn.resting = true;
    d.resting.push_back(&turn);
    rests.emplace(turn.rest_until, &turn);
  }
  // The one that rested last: the others come to their end, so that no more stay open than are needed.
  static Turn& resting_near(Destination& d, const void* near) {
    const auto found = std::ranges::find(d.resting.rbegin(), d.resting.rend(), near, &Turn::home);
    return found != d.resting.rend() ? **found : *d.resting.back();
  }
  /// @param hungry  it shall take a job
  void wake_up(Turn& turn, bool hungry) {
    auto& d = *turn.destination;
    turn.resting = false;
    std::erase(d.resting, &turn);
    rests.erase({turn.rest_until, &turn});
    turn.hungry = hungry;
    if (hungry) ++d.hungry;
    rung.push_back(turn.ring);
  }

  bool has_work_now(const Destination& d, Instant now) const { return d.ready.size() > d.hungry || (d.hungry == 0 && any_due(d, now)); }

  /// Puts the destination where it belongs after any change. May remove it: the caller keeps it alive.
  void refresh(Destination& d, Instant now, const void* near = nullptr) {
    const auto rule = rules(d.name);
    refill(d, rule, now);
    const auto most = allowed(d, rule);
    const bool has_work = !d.ready.empty() || std::ranges::any_of(d.cursors, [](const auto& one) { return one.from.has_value(); });
    const auto token = token_at(d, rule, now);
    const bool open = !stopped && d.gate <= now && token <= now;
    while (open && !d.resting.empty() && has_work_now(d, now)) wake_up(resting_near(d, near), true);
    const bool work_now = has_work_now(d, now);
    const bool wants = open && work_now && d.lanes < most;

    const auto line = wants ? kind_of(d) : Line::none;
    if (line != d.line) {
      leave_line(d);
      if (line != Line::none) {
        d.waits_since = ++waits;
        d.place = line_of(line).insert(line_of(line).end(), &d);
        d.line = line;
      }
    }
    const auto at_work = d.lanes - static_cast<std::uint32_t>(d.resting.size());
    const bool is_active = !d.local && (at_work != 0 || wants);
    if (is_active != d.active) {
      d.active = is_active;
      active = is_active ? active + 1 : active - 1;
    }

    const bool idle = !has_work && d.lanes == 0 && d.busy.empty() && d.looking == 0;
    if (idle != d.idle) {
      d.idle = idle;
      idle_destinations = idle ? idle_destinations + 1 : idle_destinations - 1;
    }
    Instant timer = kNever;
    if (idle) {
      timer = std::max(now, d.gate) + kIdleKept;
      if (idle_destinations > kIdleDestinations) {
        remove(d);
        return;
      }
    } else if (!wants && has_work && !stopped) {
      if (d.gate > now) {
        timer = d.gate;
      } else if (at_work < most) {
        timer = work_now ? token : std::max(earliest(d), now + 1);
        // A lane that has no job yet will look by itself.
        if (!work_now && d.hungry != 0) timer = kNever;
      }
    }
    set_timer(d, timer);
  }

  void remove(Destination& d) {
    set_timer(d, kNever);
    leave_line(d);
    if (d.idle) --idle_destinations;
    if (d.active) --active;
    all.erase(d.name);
  }

  void fire_timers(Instant now) {
    while (!rests.empty() && rests.begin()->first <= now) wake_up(*rests.begin()->second, false);
    while (!timers.empty() && timers.begin()->first <= now) {
      const auto d = all.at(timers.begin()->second->name);
      set_timer(*d, kNever);
      if (d->idle) {
        remove(*d);
      } else {
        refresh(*d, now);
      }
    }
  }

  Destination* choose() {
    if (!line_of(Line::local).empty()) return line_of(Line::local).front();
    auto* first = remote_lanes() < connections ? choose_remote() : nullptr;
    // Somebody waits for want of connections: those that rest are to be had.
    const bool waiting = std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(Line::healthy), lines.end(),
                                     [](const auto& line) { return !line.empty(); });
    if (first == nullptr && waiting && !rests.empty()) wake_up(*rests.begin()->second, false);
    return first;
  }

  Destination* choose_remote() {
    Destination* first = nullptr;
    for (const auto kind : {Line::healthy, Line::slow, Line::fresh, Line::sick}) {
      if (lanes_of(kind) >= quota(kind)) continue;
      // Those in trouble have one lane at most, so they are never above their share.
      auto& line = line_of(kind);
      const auto found = std::ranges::find_if(line, [this](const Destination* d) { return eligible(*d); });
      if (found != line.end() && (first == nullptr || (*found)->waits_since < first->waits_since)) first = *found;
    }
    return first;
  }

  bool must_yield(const Turn& turn) const {
    const auto& d = *turn.destination;
    if (d.local || remote_lanes() < connections) return false;
    if (d.lanes <= share() && turn.jobs < kFairTurn) return false;
    return std::ranges::any_of(std::array{Line::healthy, Line::fresh}, [&](Line kind) {
      const auto& line = line_of(kind);
      return !line.empty() && line.front() != &d && line.front()->lanes == 0;
    });
  }

  std::vector<ScanRequest> plan(Destination& d, Instant now) {
    PriorityClass first = kPriorityClasses;
    std::size_t count = 0;
    for (const auto& one : d.cursors) {
      if (!due(one, now) || one.priority > first) continue;
      count = one.priority < first ? 1 : count + 1;
      first = one.priority;
    }
    std::vector<ScanRequest> scans;
    if (count == 0) return scans;
    const auto room = kReadyBusy - std::min(kReadyBusy, d.ready.size());
    const auto limit = std::max(kLeastLook, room / count);
    for (auto& one : d.cursors) {
      if (!due(one, now) || one.priority != first) continue;
      scans.push_back({one.shard, *one.from, limit});
      one.from.reset();
      ++d.looking;
    }
    return scans;
  }

  ShownDestination describe(const Destination& d) const {
    const auto first = earliest(d);
    const auto rule = rules(d.name);
    ShownDestination shown;
    shown.destination = d.name;
    shown.connections = d.lanes;
    shown.limit = d.failures != 0 ? 1 : std::min(d.limit == 0 ? rule.initial_concurrency : d.limit, rule.concurrency);
    shown.failures = d.failures;
    shown.gate_until = (d.gate + 999) / 1'000;
    shown.next_due = d.ready.empty() ? (first == kNever ? 0 : first / 1'000) : d.ready.begin()->position.due;
    shown.trouble = d.trouble;
    return shown;
  }

  const std::uint32_t connections;
  const std::function<Rule(std::string_view)> rules;
  const std::function<double()> random;

  mutable std::mutex mutex;
  // guarded by mutex, as are all destinations
  std::map<std::string, DestinationPtr, std::less<>> all;
  std::set<std::pair<Instant, Destination*>> timers;
  std::set<std::pair<Instant, Turn*>> rests;                       ///< lanes that rest, and until when
  std::vector<std::function<void()>> rung;                         ///< of lanes that shall rest no more
  std::array<std::list<Destination*>, Destination::kLines> lines;  ///< by Line
  std::vector<Instant> blocked;                                    ///< by shard: until then
  std::uint64_t waits = 0;
  std::array<std::uint32_t, Destination::kLines> lanes_by_kind{};  ///< by Line
  std::uint32_t all_lanes = 0;
  std::size_t in_flight = 0;
  std::size_t active = 0;  ///< remote destinations with lanes or in line
  std::size_t idle_destinations = 0;
  bool stopped = false;
};

Scheduler::Scheduler(std::uint32_t connections, std::size_t shards, std::function<Rule(std::string_view)> rules,
                     std::function<double()> random)
    : impl_(std::make_unique<Impl>(connections, shards, std::move(rules), std::move(random))) {}
Scheduler::~Scheduler() = default;

void Scheduler::added(std::string_view destination, std::uint16_t shard, const Position& position, Instant now, const void* near) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = impl_->get(destination);
  impl_->make_ready(d, shard, position, false, now);
  impl_->refresh(d, now, near);
}

void Scheduler::found(std::string_view destination, std::uint16_t shard, const Position& first, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = impl_->get(destination);
  Impl::move_back(d, shard, first);
  impl_->refresh(d, now);
}

std::optional<Scheduler::Turn> Scheduler::start(Instant now) {
  const std::lock_guard lock(impl_->mutex);
  impl_->fire_timers(now);
  if (impl_->stopped) return std::nullopt;
  auto* d = impl_->choose();
  if (d == nullptr) return std::nullopt;
  impl_->leave_line(*d);  // whoever wants more goes to the end
  ++d->lanes;
  ++d->hungry;
  ++impl_->all_lanes;
  ++impl_->lanes_of(Impl::kind_of(*d));
  Turn turn;
  turn.destination = impl_->all.find(d->name)->second;
  turn.started = now;
  impl_->refresh(*d, now);
  return turn;
}

Instant Scheduler::wake() const {
  const std::lock_guard lock(impl_->mutex);
  const auto timer = impl_->timers.empty() ? kNever : impl_->timers.begin()->first;
  return impl_->rests.empty() ? timer : std::min(timer, impl_->rests.begin()->first);
}

std::vector<std::function<void()>> Scheduler::rung() {
  const std::lock_guard lock(impl_->mutex);
  return std::exchange(impl_->rung, {});
}

Scheduler::Next Scheduler::next(Turn& turn, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = *turn.destination;
  const auto rule = impl_->rules(d.name);
  Next out;
  const auto end = [&] {
    turn.leaving = true;
    ++d.leaving;
    impl_->refresh(d, now);
    return out;
  };
  if (impl_->stopped || d.gate > now || d.lanes - d.leaving > Impl::allowed(d, rule) || impl_->must_yield(turn)) return end();
  const auto age = std::chrono::milliseconds(now - turn.started);
  if (!d.local && turn.jobs != 0 && (turn.jobs >= rule.messages_per_connection || age >= rule.connection_time)) return end();
  Impl::refill(d, rule, now);
  if (Impl::token_at(d, rule, now) > now) return end();
  while (!d.ready.empty() && impl_->blocked[d.ready.begin()->shard] > now) {
    const auto first = *d.ready.begin();
    Impl::move_back(d, first.shard, first.position);
    d.ready.erase(d.ready.begin());
  }
  if (d.ready.empty()) {
    if (d.looking != 0) {
      out.step = Step::again;
      return out;
    }
    out.scans = impl_->plan(d, now);
    if (out.scans.empty()) {
      if (!impl_->may_rest(turn, rule, now)) return end();
      impl_->rest(turn, now);
      impl_->refresh(d, now);
      out.step = Step::rest;
      return out;
    }
    out.step = Step::look;
    impl_->refresh(d, now);
    return out;
  }
  const auto first = *d.ready.begin();
  d.ready.erase(d.ready.begin());
  d.busy[{first.shard, first.position.id}] = {.ticket = first.position, .appeared = std::nullopt, .since = now};
  ++impl_->in_flight;
  ++turn.jobs;
  turn.rest_until = 0;
  if (turn.hungry) {
    turn.hungry = false;
    --d.hungry;
  }
  if (rule.rate != 0) d.tokens -= 1;
  out.step = Step::job;
  out.ticket = {first.shard, first.position};
  if (d.ready.size() < kReadyLow && d.looking == 0) out.scans = impl_->plan(d, now);
  impl_->refresh(d, now);
  return out;
}

void Scheduler::scanned(Turn& turn, const ScanRequest& request, const Result<DueJobs>& found, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = *turn.destination;
  --d.looking;
  if (found) {
    for (const auto& position : found->jobs) impl_->make_ready(d, request.shard, position, true, now);
    if (found->next) Impl::move_back(d, request.shard, *found->next);
  } else {
    Impl::move_back(d, request.shard, request.from);
    impl_->shut_gate(d, impl_->rules(d.name), found.error().text, now);
    impl_->forget_ready(d, 0);
  }
  std::erase_if(d.cursors, [&](const auto& one) { return !one.from && d.looking == 0; });
  impl_->refresh(d, now);
}

void Scheduler::stale(Turn& turn, const Ticket& ticket, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = *turn.destination;
  impl_->give_back(d, ticket.shard, ticket.position.id, now);
  impl_->refresh(d, now);
}

void Scheduler::put_back(Turn& turn, const Ticket& ticket, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = *turn.destination;
  impl_->give_back(d, ticket.shard, ticket.position.id, now);
  Impl::move_back(d, ticket.shard, ticket.position);
  impl_->refresh(d, now);
}

void Scheduler::done(Turn& turn, const Ticket& ticket, Health health, std::string_view trouble, bool position_stands, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = *turn.destination;
  if (const auto job = d.busy.find({ticket.shard, ticket.position.id}); health == Health::good && job != d.busy.end())
    impl_->learn_pace(d, now - job->second.since);
  impl_->judge(turn, health, trouble, now);
  impl_->give_back(d, ticket.shard, ticket.position.id, now);
  if (position_stands) Impl::move_back(d, ticket.shard, ticket.position);
  if (d.gate > now) impl_->forget_ready(d, 0);
  impl_->refresh(d, now);
}

bool Scheduler::others_get_through(const Turn& turn) const {
  const std::lock_guard lock(impl_->mutex);
  return Impl::others_of(turn) != 0;
}

void Scheduler::abandon(Turn& turn, const Ticket& ticket, Health health, std::string_view trouble, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = *turn.destination;
  impl_->judge(turn, health, trouble, now);
  const auto found = d.busy.find({ticket.shard, ticket.position.id});
  if (found != d.busy.end() && found->second.ticket) {
    found->second = {};
    --impl_->in_flight;
  }
  if (d.gate > now) impl_->forget_ready(d, 0);
  impl_->refresh(d, now);
}

void Scheduler::ended(Turn& turn, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  const auto keep = std::exchange(turn.destination, nullptr);
  auto& d = *keep;
  if (turn.resting) {  // its loop has gone while it waited
    std::erase(d.resting, &turn);
    impl_->rests.erase({turn.rest_until, &turn});
  }
  --d.lanes;
  --impl_->all_lanes;
  if (turn.hungry) --d.hungry;
  if (turn.proven) --d.proven;
  if (turn.leaving) --d.leaving;
  --impl_->lanes_of(Impl::kind_of(d));
  if (d.lanes == 0) impl_->forget_ready(d, kReadyIdle);
  impl_->refresh(d, now);
}

bool Scheduler::claim(std::string_view destination, std::uint16_t shard, MessageId id, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto& d = impl_->get(destination);
  const auto [at, fresh] = d.busy.try_emplace({shard, id});
  if (!fresh) return false;
  std::erase_if(d.ready, [&](const Destination::Ready& one) { return one.shard == shard && one.position.id == id; });
  impl_->refresh(d, now);
  return true;
}

void Scheduler::unclaim(std::string_view destination, std::uint16_t shard, MessageId id, std::optional<Position> position, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto* d = impl_->find(destination);
  if (d == nullptr) return;
  const auto keep = impl_->all.find(d->name)->second;
  impl_->give_back(*d, shard, id, now);
  if (position) impl_->make_ready(*d, shard, *position, false, now);
  impl_->refresh(*d, now);
}

bool Scheduler::in_flight(std::string_view destination, std::uint16_t shard, MessageId id) const {
  const std::lock_guard lock(impl_->mutex);
  const auto* d = impl_->find(destination);
  if (d == nullptr) return false;
  const auto found = d->busy.find({shard, id});
  return found != d->busy.end() && found->second.ticket.has_value();
}

void Scheduler::block(std::uint16_t shard, Instant until) {
  const std::lock_guard lock(impl_->mutex);
  impl_->blocked.at(shard) = until;
}

void Scheduler::open_gate(std::string_view destination, Instant now) {
  const std::lock_guard lock(impl_->mutex);
  auto* d = impl_->find(destination);
  if (d == nullptr) return;
  const auto keep = impl_->all.find(d->name)->second;
  d->gate = 0;
  d->strikes = 0;
  impl_->refresh(*d, now);
}

void Scheduler::stop() {
  const std::lock_guard lock(impl_->mutex);
  impl_->stopped = true;
  while (!impl_->rests.empty()) impl_->wake_up(*impl_->rests.begin()->second, false);
}

std::optional<ShownDestination> Scheduler::describe(std::string_view destination) const {
  const std::lock_guard lock(impl_->mutex);
  const auto* d = impl_->find(destination);
  if (d == nullptr) return std::nullopt;
  return impl_->describe(*d);
}

std::vector<ShownDestination> Scheduler::describe_all(std::size_t limit) const {
  std::vector<ShownDestination> out;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [name, d] : impl_->all) {
      if (!d->idle || d->failures != 0) out.push_back(impl_->describe(*d));
    }
  }
  std::ranges::sort(
      out, [](const auto& a, const auto& b) { return std::tie(b.gate_until, a.destination) < std::tie(a.gate_until, b.destination); });
  if (out.size() > limit) out.resize(limit);
  return out;
}

std::size_t Scheduler::destinations() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->all.size();
}

std::size_t Scheduler::shut() const {
  const std::lock_guard lock(impl_->mutex);
  return static_cast<std::size_t>(std::ranges::count_if(impl_->all, [](const auto& one) { return one.second->failures != 0; }));
}

std::size_t Scheduler::lanes() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->all_lanes;
}

std::size_t Scheduler::jobs_in_flight() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->in_flight;
}

std::size_t Scheduler::remembered() const {
  const std::lock_guard lock(impl_->mutex);
  std::size_t count = 0;
  for (const auto& [name, d] : impl_->all) count += d->ready.size() + d->busy.size() + d->cursors.size();
  return count;
}

}  // namespace relais::smtp::queue
