// Queued messages for accounts of this platform, as they are placed now.
#include "smtp/server/local_lane.h"

#include "message/trace.h"
#include "smtp/server/delivery_state.h"
#include "smtp/server/gather.h"

namespace relais::smtp {
namespace {

constexpr std::size_t kAtOnce = 64;             // appends in flight for one message; those of one shard share commits
constexpr std::uint64_t kPiece = 1024 * 1024;   // octets read from the queue at a time

queue::RecipientOutcome decided(queue::Disposition disposition, std::string status, std::string text) {
  queue::RecipientOutcome out;
  out.disposition = disposition;
  out.status = std::move(status);
  out.text = std::move(text);
  return out;
}

queue::RecipientOutcome not_found(const Error& why) {
  if (why.fault == Fault::refused) return decided(queue::Disposition::permanent, why.code.empty() ? "5.1.1" : why.code, why.text);
  return decided(queue::Disposition::temporary, "4.3.0", why.text);
}

// An account that is over its quota may have room tomorrow.
queue::RecipientOutcome not_stored(const Error& why) {
  if (why.code == "OVERQUOTA") return decided(queue::Disposition::temporary, "4.2.2", "mailbox full");
  if (why.fault == Fault::refused) return decided(queue::Disposition::permanent, "5.2.0", why.text);
  return decided(queue::Disposition::temporary, why.code == "STORAGE_FULL" ? "4.3.1" : "4.3.0", why.text);
}

queue::RecipientOutcome moved(Whereabouts found) {
  auto out = decided(queue::Disposition::elsewhere, "2.0.0", "sent on");
  for (auto& account : found.accounts) out.moves.push_back({std::move(account.address), "local"});
  for (auto& way : found.onward) out.moves.push_back({std::move(way.address), std::move(way.destination)});
  return out;
}

bool is_one_account(const Result<Whereabouts>& found) {
  return found && found->kind == Whereabouts::Kind::known && found->accounts.size() == 1 && found->onward.empty();
}

net::Task<std::string> read_all(queue::Content& content) {
  std::string octets;
  octets.reserve(static_cast<std::size_t>(content.size()));
  while (octets.size() < content.size()) {
    const auto before = octets.size();
    RELAIS_CO_TRY_VOID(co_await content.read(before, kPiece, octets));
    if (octets.size() == before) co_return fail(Fault::corrupt, "message is shorter than it was");
  }
  co_return octets;
}

}  // namespace

queue::RecipientOutcome gone_elsewhere(Result<Whereabouts> found) {
  if (!found) return not_found(found.error());
  switch (found->kind) {
    case Whereabouts::Kind::unknown: return decided(queue::Disposition::permanent, "5.1.1", "no such mailbox");
    case Whereabouts::Kind::disabled: return decided(queue::Disposition::permanent, "5.2.1", "mailbox disabled");
    case Whereabouts::Kind::foreign:
    case Whereabouts::Kind::known: break;
  }
  return moved(std::move(*found));
}

net::asio::awaitable<queue::RecipientOutcome> LocalLane::deliver(const queue::Dispatch& dispatch, const queue::DispatchRecipient& recipient,
                                                                 const storage::PreparedPtr& message, std::vector<queue::Outcome::Once>& once) {
  auto found = co_await routing_.look_up_account(recipient.address);
  if (!is_one_account(found)) co_return gone_elsewhere(std::move(found));
  const auto& account = found->accounts.front();
  const storage::AccountRef ref{storage::AccountId{account.number}, account.placement.shard};
  storage::AppendMessage copy;
  copy.message = message;
  copy.trace_header = message::return_path_field(dispatch.sender) + message::delivered_to_field(recipient.given.empty() ? recipient.address : recipient.given);
  copy.internal_date = clock_.seconds();
  std::vector<storage::AppendMessage> copies;
  copies.push_back(std::move(copy));
  const auto done = co_await store_.append(ref, "INBOX", std::move(copies), true, dispatch.trace_id);
  if (!done) co_return not_stored(done.error());
  once.push_back({account.number, account.placement.shard});
  auto out = decided(queue::Disposition::delivered, "2.1.5", "INBOX");
  out.host = place_text(ref, *done);
  co_return out;
}

net::asio::awaitable<queue::Outcome> LocalLane::send(const queue::Dispatch& dispatch) {
  queue::Outcome out;
  out.recipients.resize(dispatch.recipients.size());
  storage::PreparedPtr message;
  auto octets = co_await read_all(*dispatch.content);
  std::optional<Error> unreadable;
  if (octets) {
    auto prepared = co_await store_.prepare(*octets);
    if (prepared) message = std::move(*prepared);
    else unreadable = std::move(prepared).error();
  } else {
    unreadable = std::move(octets).error();
  }
  if (unreadable) {
    out.recipients.assign(dispatch.recipients.size(), decided(queue::Disposition::temporary, "4.3.0", unreadable->text));
    co_return out;
  }
  auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
    out.recipients[i] = co_await deliver(dispatch, dispatch.recipients[i], message, out.once);
  };
  co_await for_each_at_once(dispatch.recipients.size(), kAtOnce, each);
  co_return out;
}

net::asio::awaitable<queue::Outcome> AccountLane::send(const queue::Dispatch& dispatch) {
  queue::Outcome out;
  for (const auto& recipient : dispatch.recipients) {
    auto found = co_await routing_.look_up_account(recipient.address);
    const bool moving = found && found->accounts.empty() && found->onward.size() == 1 && found->onward.front().why == Onward::Why::moving;
    if (moving) {
      out.recipients.push_back(decided(queue::Disposition::temporary, "4.2.1", "the account is being moved"));
      out.health = queue::Health::unreachable;
      out.trouble = "the account is being moved";
      continue;
    }
    out.recipients.push_back(gone_elsewhere(std::move(found)));
  }
  co_return out;
}

}  // namespace relais::smtp
