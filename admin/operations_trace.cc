// relais trace, relais sending list|forgive
#include "admin/operations.h"

#include "admin/layout.h"
#include "base/clock.h"
#include "base/config.h"
#include "smtp/trace/search.h"

#include <array>
#include <cstdio>

namespace relais::admin {
namespace {

constexpr std::uint64_t kMessages = 20;
constexpr std::uint64_t kMostMessages = 1'000;
constexpr std::uint64_t kMostEvents = 10'000;

json describe(const smtp::TraceEvent& event) {
  json row{{"time", smtp::trace_time(event.time)}, {"kind", smtp::to_string(event.kind)}};
  const auto put = [&](const char* key, const std::string& text) {
    if (!text.empty()) row[key] = text;
  };
  put("from", event.from);
  if (!event.to.empty()) row["to"] = event.to;
  put("message_id", event.message_id);
  put("parent", event.parent);
  put("host", event.host);
  put("reply", event.reply);
  put("detail", event.detail);
  if (event.size != 0) row["size"] = event.size;
  return row;
}

/// A mailbox and a place in it, as deliveries trace them: "shard 1 account 12 mailbox 3 uid 17".
struct Place {
  storage::AccountRef account;
  storage::MailboxId mailbox{};
  storage::Uid uid = 0;
};

std::optional<Place> place_of(const smtp::TraceEvent& event) {
  unsigned shard = 0;
  unsigned long long account = 0;
  unsigned mailbox = 0;
  unsigned uid = 0;
  if (event.kind != smtp::TraceKind::delivered) return std::nullopt;
  if (std::sscanf(event.host.c_str(), "shard %u account %llu mailbox %u uid %u", &shard, &account, &mailbox, &uid) != 4) return std::nullopt;
  return Place{{storage::AccountId{account}, static_cast<storage::ShardNumber>(shard)}, storage::MailboxId{mailbox}, uid};
}

// Where it lies now, as far as it can be told without reading the whole account: it may have been moved by its owner.
net::asio::awaitable<std::string> lies_where(Backend& backend, Place place) {
  const auto number = static_cast<std::uint64_t>(place.account.account);
  const auto account = co_await backend.directory.find_number(number);
  if (!account) co_return "not known now: " + account.error().text;
  if (!*account) co_return "gone: the account was removed";
  const auto& name = (*account)->address;
  if ((*account)->placement.kind != directory::Placement::Kind::shard) co_return name + " has been moved to another platform since";
  const storage::AccountRef ref{place.account.account, (*account)->placement.shard};
  const auto mailboxes = co_await backend.store.list(ref);
  if (!mailboxes) co_return name + ": not known now: " + mailboxes.error().text;
  for (const auto& box : *mailboxes) {
    if (box.id != place.mailbox || !box.exists) continue;
    const auto view = co_await backend.store.open(ref, box.name, false);
    if (view && view->uids.contains(place.uid)) co_return name + ", mailbox " + box.name + ", UID " + std::to_string(place.uid);
    break;
  }
  co_return name + ", no longer where it was delivered: moved or deleted by its owner";
}

net::asio::awaitable<json> describe(Backend& backend, const smtp::TracedMessage& message) {
  auto events = json::array();
  auto now = json::array();
  for (const auto& event : message.events) {
    events.push_back(describe(event));
    if (const auto place = place_of(event)) now.push_back(co_await lies_where(backend, *place));
  }
  if (auto queue = backend.mail.queue(); queue) {
    if (const auto queued = co_await (*queue)->show(message.id); queued) {
      for (const auto& one : *queued) {
        for (const auto& job : one.jobs) now.push_back("in the queue for " + job.destination + (job.held ? ", held" : "") + ", as " + job.id);
      }
    }
  }
  co_return json{{"id", message.id}, {"events", std::move(events)}, {"cut", message.cut}, {"now", std::move(now)}};
}

net::Task<json> trace(Backend& backend, const json& request) {
  smtp::TraceQuery query;
  RELAIS_CO_TRY(query.what, text_argument(request, "what"));
  query.max_messages = static_cast<std::size_t>(std::min(number_argument_or(request, "limit", kMessages), kMostMessages));
  query.max_events = static_cast<std::size_t>(std::min(number_argument_or(request, "events", query.max_events), kMostEvents));
  if (const auto since = text_argument_or(request, "since", ""); !since.empty()) {
    const auto milliseconds = config::parse_duration(since);
    if (!milliseconds) co_return fail(Fault::syntax, "'" + since + "' is no duration; write 30m, 2h, 1d");
    query.since = system_clock().seconds() - *milliseconds / 1'000;
  }
  auto job = [&]() -> Result<std::vector<smtp::TracedMessage>> {
    backend.mail.flush_trace();
    return smtp::search_trace(Layout(backend.mail.dir()).trace(), query);
  };
  RELAIS_CO_TRY(const auto found, co_await backend.workers.run(job));
  auto rows = json::array();
  for (const auto& message : found) rows.push_back(co_await describe(backend, message));
  co_return json{{"what", query.what}, {"messages", std::move(rows)}};
}

net::Task<json> sending_list(Backend& backend, const json&) {
  RELAIS_CO_TRY(const auto* sending, backend.mail.sending());
  auto rows = json::array();
  for (const auto& one : sending->refused()) {
    rows.push_back({{"address", one.address}, {"account", one.account}, {"refused", one.refused}, {"since", one.since}, {"messages_hour", one.messages_hour},
                    {"messages_day", one.messages_day}, {"recipients_hour", one.recipients_hour}, {"recipients_day", one.recipients_day}});
  }
  co_return json{{"accounts", std::move(rows)}};
}

net::Task<json> sending_forgive(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto address, text_argument(request, "address"));
  RELAIS_CO_TRY(const auto account, co_await backend.directory.find(address));
  if (!account) co_return fail(Fault::refused, "no account '" + address + "'; relais account list shows those there are");
  RELAIS_CO_TRY(auto* sending, backend.mail.sending());
  sending->forgive(account->number);
  co_return json{{"address", account->address}, {"forgiven", true}};
}

constexpr std::array<Operation, 1> kTrace{{{"trace", trace}}};
constexpr std::array<Operation, 2> kSending{{{"sending list", sending_list}, {"sending forgive", sending_forgive}}};

}  // namespace

std::span<const Operation> trace_operations() { return kTrace; }
std::span<const Operation> sending_operations() { return kSending; }

}  // namespace relais::admin
