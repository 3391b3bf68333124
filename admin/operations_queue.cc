// relais queue list|show|why|destinations|retry|hold|release|drop
#include "admin/operations.h"

#include "base/config.h"

#include <array>

namespace relais::admin {
namespace {

namespace queue = smtp::queue;

constexpr std::uint64_t kListed = 100;          // jobs, unless asked for more
constexpr std::uint64_t kMostListed = 10'000;   // in one answer; --after has the rest

Result<std::optional<std::chrono::seconds>> age(const json& request, std::string_view key) {
  const auto text = text_argument_or(request, key, "");
  if (text.empty()) return std::nullopt;
  const auto milliseconds = config::parse_duration(text);
  if (!milliseconds) return fail(Fault::syntax, "'" + text + "' is no duration; write 30m, 2h, 1d");
  return std::chrono::seconds(*milliseconds / 1'000);
}

Result<queue::Filter> filter_of(const json& request) {
  queue::Filter filter;
  filter.id = text_argument_or(request, "id", "");
  filter.sender = text_argument_or(request, "sender", "");
  filter.recipient = text_argument_or(request, "recipient", "");
  filter.domain = text_argument_or(request, "domain", "");
  filter.destination = text_argument_or(request, "destination", "");
  filter.error = text_argument_or(request, "error", "");
  RELAIS_TRY(filter.older_than, age(request, "older"));
  RELAIS_TRY(filter.younger_than, age(request, "younger"));
  if (const auto held = request.find("held"); held != request.end() && held->is_boolean()) filter.held = held->get<bool>();
  return filter;
}

bool fits_all(const queue::Filter& filter) {
  return filter.id.empty() && filter.sender.empty() && filter.recipient.empty() && filter.domain.empty() && filter.destination.empty() && filter.error.empty() &&
         !filter.older_than && !filter.younger_than && !filter.held;
}

json describe(const queue::ShownJob& job) {
  auto recipients = json::array();
  for (const auto& recipient : job.recipients) {
    json row{{"address", recipient.address}, {"state", recipient.state}, {"reply", recipient.reply}};
    if (!recipient.given.empty()) row["given"] = recipient.given;
    recipients.push_back(std::move(row));
  }
  return {{"id", job.id}, {"trace_id", job.trace_id}, {"destination", job.destination}, {"sender", job.sender}, {"size", job.size},
          {"arrival", job.arrival}, {"due", job.due}, {"expires", job.expires}, {"attempts", job.attempts}, {"held", job.held}, {"active", job.active},
          {"priority", job.priority}, {"recipients", std::move(recipients)}};
}

net::Task<json> list(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto* queue, backend.mail.queue());
  RELAIS_CO_TRY(auto filter, filter_of(request));
  const auto limit = std::min(number_argument_or(request, "limit", kListed), kMostListed);
  RELAIS_CO_TRY(const auto page, co_await queue->list(std::move(filter), text_argument_or(request, "after", ""), static_cast<std::size_t>(limit)));
  auto rows = json::array();
  for (const auto& job : page.jobs) rows.push_back(describe(job));
  co_return json{{"jobs", std::move(rows)}, {"next", page.next}, {"messages", queue->messages()}};
}

net::Task<json> show(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto* queue, backend.mail.queue());
  RELAIS_CO_TRY(const auto id, text_argument(request, "id"));
  RELAIS_CO_TRY(const auto messages, co_await queue->show(id));
  if (messages.empty()) co_return fail(Fault::refused, "nothing with the id '" + id + "' is in the queue; relais trace " + id + " tells what became of it");
  auto rows = json::array();
  for (const auto& message : messages) {
    auto jobs = json::array();
    for (const auto& job : message.jobs) jobs.push_back(describe(job));
    rows.push_back({{"id", message.id}, {"trace_id", message.trace_id}, {"parent", message.parent}, {"sender", message.sender},
                    {"message_id", message.message_id}, {"client", message.client}, {"envelope_id", message.envelope_id}, {"account", message.account},
                    {"size", message.size}, {"arrival", message.arrival}, {"expires", message.expires}, {"deliver_by", message.deliver_by},
                    {"delay_notice_sent", message.delay_notice_sent}, {"jobs", std::move(jobs)}, {"header", message.header}});
  }
  co_return json{{"messages", std::move(rows)}};
}

net::Task<json> why(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto* queue, backend.mail.queue());
  RELAIS_CO_TRY(const auto what, text_argument(request, "what"));
  RELAIS_CO_TRY(const auto sentences, co_await queue->why(what));
  co_return json{{"what", what}, {"why", sentences}};
}

net::Task<json> destinations(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto* queue, backend.mail.queue());
  auto rows = json::array();
  for (const auto& one : queue->destinations(static_cast<std::size_t>(std::min(number_argument_or(request, "limit", kListed), kMostListed)))) {
    rows.push_back({{"destination", one.destination}, {"connections", one.connections}, {"limit", one.limit}, {"failures", one.failures},
                    {"gate_until", one.gate_until}, {"next_due", one.next_due}, {"trouble", one.trouble}});
  }
  co_return json{{"destinations", std::move(rows)}, {"messages", queue->messages()}, {"active", queue->active()}};
}

net::Task<json> act(Backend& backend, const json& request, queue::Action action) {
  RELAIS_CO_TRY(auto* queue, backend.mail.queue());
  RELAIS_CO_TRY(auto filter, filter_of(request));
  if (fits_all(filter) && !request.value("all", false)) {
    co_return fail(Fault::syntax, "which ones? Give an id or a filter (--sender, --recipient, --domain, --destination, --error, --older, …), or --all");
  }
  RELAIS_CO_TRY(const auto result, co_await queue->apply(std::move(filter), action));
  co_return json{{"jobs", result.jobs}, {"messages", result.messages}, {"active", result.active}};
}
net::Task<json> retry(Backend& backend, const json& request) { return act(backend, request, queue::Action::retry); }
net::Task<json> hold(Backend& backend, const json& request) { return act(backend, request, queue::Action::hold); }
net::Task<json> release(Backend& backend, const json& request) { return act(backend, request, queue::Action::release); }
net::Task<json> drop(Backend& backend, const json& request) { return act(backend, request, queue::Action::drop); }

constexpr std::array<Operation, 8> kOperations{{{"queue list", list},
                                                {"queue show", show},
                                                {"queue why", why},
                                                {"queue destinations", destinations},
                                                {"queue retry", retry},
                                                {"queue hold", hold},
                                                {"queue release", release},
                                                {"queue drop", drop}}};

}  // namespace

std::span<const Operation> queue_operations() { return kOperations; }

}  // namespace relais::admin
