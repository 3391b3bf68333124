// What administrators ask of the queue: lists, details, bulk actions, reasons.
#include "smtp/queue/admin.h"

#include "base/ascii.h"
#include "base/log.h"
#include "smtp/queue/queue_state.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <tuple>

namespace relais::smtp::queue {
namespace {

constexpr std::size_t kWalkSlice = 500;  // jobs looked at before other work of the loop gets its turn
constexpr std::size_t kActSlice = 200;   // jobs in one transaction
constexpr std::size_t kReasons = 20;
constexpr std::size_t kShownHeader = 64 * 1024;
constexpr std::string_view kBehindAll = "\xFF";  // as a destination: after every job of an id

std::string hex(MessageId id) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), id, 16).ptr;
  return {digits.data(), end};
}

std::optional<MessageId> from_hex_number(std::string_view text) {
  MessageId id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return id;
}

bool icontains(std::string_view text, std::string_view part) {
  return !std::ranges::search(text, part, [](char a, char b) { return ascii_lower(a) == ascii_lower(b); }).empty() || part.empty();
}

std::string_view domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

/// An address as a filter writes it: "<>" null, "@domain" all of a domain, else exactly.
bool is_address(std::string_view wanted, std::string_view address) {
  if (wanted == "<>") return address.empty();
  if (wanted.starts_with('@')) return iequals(domain_of(address), wanted.substr(1));
  return iequals(wanted, address);
}

std::string_view to_string(RecipientState state) {
  switch (state) {
    case RecipientState::open: return "open";
    case RecipientState::relayed: return "relayed";
    case RecipientState::delivered: return "delivered";
    case RecipientState::failed: return "failed";
  }
  return "open";
}

std::string reply_line(const ReplyRecord& reply) {
  std::string line = reply.text;
  if (!reply.remote && !reply.status.empty()) line.insert(0, reply.status + ' ');
  if (!reply.host.empty()) line += " (" + reply.host + ")";
  return line;
}

/// Where a page of a list ended: the order is by id, shard, destination.
struct Cursor {
  MessageId id = 0;
  std::uint16_t shard = 0;
  std::string destination;

  static Result<Cursor> parse(std::string_view text) {
    Cursor at;
    if (text.empty()) return at;
    const auto first = text.find('-');
    const auto second = first == std::string_view::npos ? first : text.find('-', first + 1);
    if (second == std::string_view::npos) return fail(Fault::refused, "no such page", "NONEXISTENT");
    const auto id = from_hex_number(text.substr(0, first));
    const auto shard = parse_u64(text.substr(first + 1, second - first - 1));
    if (!id || !shard || *shard > UINT16_MAX) return fail(Fault::refused, "no such page", "NONEXISTENT");
    at.id = *id;
    at.shard = static_cast<std::uint16_t>(*shard);
    at.destination = text.substr(second + 1);
    return at;
  }
  std::string text() const { return hex(id) + '-' + std::to_string(shard) + '-' + destination; }
  /// The last job of a shard that the pages so far may have had.
  JobRef in(std::uint16_t number) const {
    if (number == shard) return {id, destination};
    return {id, number < shard ? std::string(kBehindAll) : std::string()};
  }
};

/// Lets the loop do other work.
net::asio::awaitable<void> breathe() { co_await net::asio::post(co_await net::asio::this_coro::executor, net::asio::use_awaitable); }

}  // namespace

std::string Queue::Impl::shown_id(std::uint16_t shard, MessageId id) const { return std::to_string(shard) + '-' + hex(id); }

std::optional<std::pair<std::uint16_t, MessageId>> Queue::Impl::parse_id(std::string_view id) const {
  const auto dash = id.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto shard = parse_u64(id.substr(0, dash));
  const auto number = from_hex_number(id.substr(dash + 1));
  if (!shard || !number || *shard >= shards.size()) return std::nullopt;
  return std::pair(static_cast<std::uint16_t>(*shard), *number);
}

Result<std::vector<std::pair<std::uint16_t, MessageId>>> Queue::Impl::find_messages(const std::string& id) const {
  std::vector<std::pair<std::uint16_t, MessageId>> found;
  if (id.empty() || id.size() > kMaxTraceId) return found;
  for (const auto& shard : shards) {
    RELAIS_TRY(const auto here, shard->by_trace_id(id));
    for (const auto one : here) found.emplace_back(shard->number(), one);
  }
  if (const auto parsed = parse_id(id); parsed && found.empty()) {
    RELAIS_TRY(const auto message, shards[parsed->first]->message(parsed->second));
    if (message) found.push_back(*parsed);
  }
  return found;
}

bool Queue::Impl::fits(const Filter& filter, std::uint16_t shard, const JobRef& ref, const LoadedJob& loaded, std::int64_t time) const {
  const auto& [message, job] = loaded;
  const auto any = [&job](auto test) { return std::ranges::any_of(job.recipients, test); };
  if (!filter.id.empty() && filter.id != message.trace_id && filter.id != shown_id(shard, ref.id)) return false;
  if (!filter.sender.empty() && !is_address(filter.sender, message.sender)) return false;
  if (!filter.recipient.empty() && !any([&](const RecipientRecord& one) {
        return is_address(filter.recipient, one.address) || (!one.given.empty() && is_address(filter.recipient, one.given));
      })) {
    return false;
  }
  if (!filter.domain.empty() && !iequals("mx:" + filter.domain, ref.destination) &&
      !any([&](const RecipientRecord& one) { return iequals(domain_of(one.address), filter.domain); })) {
    return false;
  }
  if (!filter.destination.empty() && !iequals(filter.destination, ref.destination)) return false;
  const auto age = std::chrono::seconds(time - message.arrival);
  if (filter.older_than && age < *filter.older_than) return false;
  if (filter.younger_than && age >= *filter.younger_than) return false;
  if (filter.held && *filter.held != job.held) return false;
  if (filter.error.empty()) return true;
  if (std::ranges::any_of(job.replies, [&](const ReplyRecord& reply) { return icontains(reply.status + ' ' + reply.text, filter.error); }))
    return true;
  const auto state = scheduler.describe(ref.destination);
  return state && !state->trouble.empty() && icontains(state->trouble, filter.error);
}

ShownJob Queue::Impl::shown(std::uint16_t shard, const JobRef& ref, const LoadedJob& loaded) const {
  const auto& [message, job] = loaded;
  ShownJob out;
  out.id = shown_id(shard, ref.id);
  out.trace_id = message.trace_id;
  out.destination = ref.destination;
  out.sender = message.sender;
  out.size = message.size;
  out.arrival = message.arrival;
  out.due = job.due;
  out.expires = message.expires;
  out.attempts = job.attempts;
  out.held = job.held;
  out.active = scheduler.in_flight(ref.destination, shard, ref.id);
  out.priority = message.priority;
  for (const auto& recipient : job.recipients) {
    const auto* reply = job.reply_of(recipient);
    out.recipients.push_back({recipient.address, recipient.given, std::string(to_string(recipient.state)),
                              reply == nullptr ? std::string() : reply_line(*reply)});
  }
  return out;
}

net::Task<JobPage> Queue::Impl::list(std::shared_ptr<Impl> self, Filter filter, std::string after, std::size_t limit) {
  RELAIS_CO_TRY(const auto cursor, Cursor::parse(after));
  limit = std::clamp<std::size_t>(limit, 1, 10'000);
  struct Hit {
    Cursor at;
    ShownJob job;
  };
  std::vector<Hit> hits;
  const auto time = self->seconds();
  for (const auto& shard : self->shards) {
    std::size_t here = 0;
    auto at = cursor.in(shard->number());
    const auto visit = [&](const JobRef& ref, const LoadedJob& loaded) {
      if (!self->fits(filter, shard->number(), ref, loaded, time)) return true;
      hits.push_back({{ref.id, shard->number(), ref.destination}, self->shown(shard->number(), ref, loaded)});
      return ++here <= limit;  // one more than asked for tells whether there is another page
    };
    for (;;) {
      RELAIS_CO_TRY(auto stopped, shard->walk(at, kWalkSlice, visit));
      if (!stopped || here > limit) break;
      at = std::move(*stopped);
      co_await breathe();
    }
  }
  std::ranges::sort(hits, {}, [](const Hit& hit) { return std::tie(hit.at.id, hit.at.shard, hit.at.destination); });
  JobPage page;
  if (hits.size() > limit) {
    hits.resize(limit);
    page.next = hits.back().at.text();
  }
  for (auto& hit : hits) page.jobs.push_back(std::move(hit.job));
  co_return page;
}

net::Task<std::vector<ShownMessage>> Queue::Impl::show(std::shared_ptr<Impl> self, std::string id) {
  RELAIS_CO_TRY(const auto found, self->find_messages(id));
  std::vector<ShownMessage> out;
  for (const auto& [number, message_id] : found) {
    const auto& shard = *self->shards[number];
    RELAIS_CO_TRY(const auto message, shard.message(message_id));
    if (!message) continue;
    RELAIS_CO_TRY(auto jobs, shard.jobs(message_id));
    auto& shown = out.emplace_back();
    shown.id = self->shown_id(number, message_id);
    shown.trace_id = message->trace_id;
    shown.parent = message->parent;
    shown.sender = message->sender;
    shown.message_id = message->message_id;
    shown.client = message->client;
    shown.envelope_id = message->envelope_id;
    shown.account = message->account;
    shown.size = message->size;
    shown.arrival = message->arrival;
    shown.expires = message->expires;
    shown.deliver_by = message->deliver_by;
    shown.delay_notice_sent =
        message->delay_at == 0 && can_tell(*message) && message->check > message->arrival + self->lifetimes.delay_notice.count();
    for (auto& [destination, job] : jobs) shown.jobs.push_back(self->shown(number, {message_id, destination}, {*message, std::move(job)}));
    const auto content = shard.content(*message);
    if (const auto read = co_await content->read(0, kShownHeader, shown.header); !read) {
      shown.header = "(cannot be read: " + read.error().text + ")\r\n";
    } else if (const auto end = shown.header.find("\r\n\r\n"); end != std::string::npos) {
      shown.header.resize(end + 2);
    }
  }
  if (out.empty()) co_return fail(Fault::refused, "no such message in the queue", "NONEXISTENT");
  co_return out;
}

net::Task<ActionResult> Queue::Impl::apply_to(QueueShard& shard, const std::vector<JobRef>& jobs, const std::vector<LoadedJob>& loaded,
                                              Action action) {
  std::uint64_t active = 0;
  for (const auto& job : jobs) active += scheduler.in_flight(job.destination, shard.number(), job.id) ? 1 : 0;
  RELAIS_CO_TRY(auto change, co_await shard.act(jobs, action));
  change.result.active = std::min(active, change.result.jobs);
  if (change.forget) background[shard.number()]->to_forget = true;
  std::set<std::string> gates;
  for (const auto& one : change.added) {
    if (action == Action::retry && gates.insert(one.destination).second) scheduler.open_gate(one.destination, now());
  }
  publish(shard.number(), change.added);
  if (action == Action::retry) co_return change.result;
  const auto kind = action == Action::hold ? TraceKind::held : action == Action::release ? TraceKind::released : TraceKind::dropped;
  for (const auto& ref : change.changed) {
    const auto at = std::ranges::find(jobs, ref);
    const auto& one = loaded[static_cast<std::size_t>(at - jobs.begin())];
    TraceEvent event{.id = one.message.trace_id, .kind = kind, .host = ref.destination, .detail = "by an administrator"};
    event.from = one.message.sender;
    for (const auto& recipient : one.job.recipients) {
      if (recipient.state == RecipientState::open) event.to.push_back(recipient.address);
    }
    parts.trace.add(std::move(event));
  }
  co_return change.result;
}

// By the schedule alone: what waits for other destinations costs nothing.
net::Task<void> Queue::Impl::release(std::shared_ptr<Impl> self, std::string destination) {
  self->scheduler.open_gate(destination, self->now());
  self->kick();
  const auto due_already = self->seconds();
  for (const auto& shard : self->shards) {
    for (PriorityClass priority = 0; priority < kPriorityClasses; ++priority) {
      Position from{.priority = priority, .due = due_already + 1, .id = 0};
      for (bool more = true; more;) {
        RELAIS_CO_TRY(const auto later, shard->due(destination, from, std::numeric_limits<std::int64_t>::max(), kActSlice));
        std::vector<JobRef> jobs;
        for (const auto& position : later.jobs) jobs.push_back({.id = position.id, .destination = destination});
        if (!jobs.empty()) RELAIS_CO_TRY_VOID(co_await self->apply_to(*shard, jobs, {}, Action::retry));
        more = later.next.has_value();
        if (more) from = *later.next;
      }
    }
  }
  self->kick();
  co_return Result<void>{};
}

net::Task<ActionResult> Queue::Impl::apply(std::shared_ptr<Impl> self, Filter filter, Action action) {
  ActionResult total;
  const auto time = self->seconds();
  for (const auto& shard : self->shards) {
    JobRef at;
    for (bool more = true; more;) {
      std::vector<JobRef> jobs;
      std::vector<LoadedJob> loaded;
      const auto visit = [&](const JobRef& ref, const LoadedJob& one) {
        if (!self->fits(filter, shard->number(), ref, one, time)) return true;
        jobs.push_back(ref);
        loaded.push_back(one);
        return jobs.size() < kActSlice;
      };
      RELAIS_CO_TRY(auto stopped, shard->walk(at, kWalkSlice, visit));
      more = stopped.has_value();
      if (more) at = std::move(*stopped);
      if (jobs.empty()) {
        co_await breathe();
        continue;
      }
      RELAIS_CO_TRY(const auto done, co_await self->apply_to(*shard, jobs, loaded, action));
      total.jobs += done.jobs;
      total.messages += done.messages;
      total.active += done.active;
    }
  }
  constexpr std::array<std::string_view, 4> kNames{"retry", "hold", "release", "drop"};
  log::event(log::Level::info, "queue changed by an administrator",
             {{"action", kNames[static_cast<std::size_t>(action)]}, {"jobs", total.jobs}});
  co_return total;
}

std::string Queue::Impl::explain(std::uint16_t shard, const JobRef& ref, const LoadedJob& loaded) const {
  const auto& [message, job] = loaded;
  std::string out = shown_id(shard, ref.id) + " (" + message.trace_id + ") from <" + message.sender + ">";
  std::size_t open = 0;
  const RecipientRecord* first = nullptr;
  for (const auto& recipient : job.recipients) {
    if (recipient.state != RecipientState::open) continue;
    if (open++ == 0) first = &recipient;
  }
  if (first != nullptr) out += " to <" + first->address + ">" + (open > 1 ? " and " + std::to_string(open - 1) + " more" : std::string());
  out += " by " + ref.destination + ": ";
  const auto state = scheduler.describe(ref.destination);
  const auto* reply = first == nullptr ? nullptr : job.reply_of(*first);
  const auto said =
      reply == nullptr ? std::string() : " After attempt " + std::to_string(job.attempts) + " the answer was: " + reply_line(*reply) + ".";
  if (job.held) {
    out += "an administrator holds it until it is released.";
  } else if (scheduler.in_flight(ref.destination, shard, ref.id)) {
    out += "an attempt is under way.";
  } else if (ref.destination.starts_with("account:") && state && state->gate_until > seconds()) {
    out += "the account is being moved; it is delivered as soon as that is done.";
  } else if (state && state->gate_until > seconds()) {
    out += "the destination is in trouble, " + std::to_string(state->failures) + (state->failures == 1 ? " attempt failed: " : " attempts in a row failed: ") + state->trouble +
           "; it is tried again at " + trace_time(state->gate_until * 1'000) + ".";
  } else if (job.due > seconds()) {
    out += (job.attempts == 0 ? "it is not to be sent before " : "it is tried again at ") + trace_time(job.due * 1'000) + ".";
  } else {
    out += "it is due and waits for its turn";
    if (state) out += "; " + std::to_string(state->connections) + " of at most " + std::to_string(state->limit) + " connections are open";
    out += ".";
  }
  return out + said + " It is given up at " + trace_time(message.expires * 1'000) + ".";
}

net::Task<std::vector<std::string>> Queue::Impl::why(std::shared_ptr<Impl> self, std::string what) {
  std::vector<std::string> out;
  RELAIS_CO_TRY(const auto found, self->find_messages(what));
  for (const auto& [number, id] : found) {
    const auto& shard = *self->shards[number];
    RELAIS_CO_TRY(const auto message, shard.message(id));
    RELAIS_CO_TRY(auto jobs, shard.jobs(id));
    if (!message) continue;
    for (auto& [destination, job] : jobs) out.push_back(self->explain(number, {id, destination}, {*message, std::move(job)}));
  }
  if (!out.empty()) co_return out;

  const bool address = what.contains('@');
  if (!address) {
    const auto name = what.contains(':') || what == "local" ? what : "mx:" + what;
    if (const auto state = self->scheduler.describe(to_lower(name))) {
      std::string line = state->destination + ": ";
      if (state->gate_until > self->seconds()) {
        line += "in trouble, " + std::to_string(state->failures) + (state->failures == 1 ? " attempt failed: " : " attempts in a row failed: ") + state->trouble + "; tried again at " +
                trace_time(state->gate_until * 1'000) + ".";
      } else {
        line += std::to_string(state->connections) + " of at most " + std::to_string(state->limit) + " connections are open.";
        if (!state->trouble.empty()) line += " Last trouble: " + state->trouble + ".";
        if (state->next_due != 0) line += " The next message is due at " + trace_time(state->next_due * 1'000) + ".";
      }
      out.push_back(std::move(line));
    }
  }
  for (const auto& shard : self->shards) {
    JobRef at;
    const auto visit = [&](const JobRef& ref, const LoadedJob& loaded) {
      const bool fits =
          address
              ? iequals(what, loaded.message.sender) ||
                    std::ranges::any_of(loaded.job.recipients,
                                        [&](const RecipientRecord& one) { return iequals(what, one.address) || iequals(what, one.given); })
              : iequals(what, ref.destination) || iequals("mx:" + what, ref.destination);
      if (fits) out.push_back(self->explain(shard->number(), ref, loaded));
      return out.size() < kReasons;
    };
    for (bool more = true; more && out.size() < kReasons;) {
      RELAIS_CO_TRY(auto stopped, shard->walk(at, kWalkSlice, visit));
      more = stopped.has_value();
      if (more) at = std::move(*stopped);
      co_await breathe();
    }
  }
  co_return out;
}

}  // namespace relais::smtp::queue
