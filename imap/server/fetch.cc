// FETCH and UID FETCH: which messages, in batches; fetch_writer.cc says what of each.
#include "imap/server/fetch.h"

#include "base/ascii.h"
#include "imap/proto/fetch.h"
#include "imap/proto/write.h"
#include "imap/server/fetch_writer.h"
#include "imap/server/window.h"

namespace relais::imap {
namespace {

constexpr std::uint32_t kBatchMessages = 1'000;
constexpr std::uint32_t kBatchOctets = 256 * 1024;

// RFC 9051 §6.4.5: sets \Seen on the batch's messages, one commit for all, so that the responses can tell the new flags.
// @return the UIDs that did not have it
net::Task<NumberSet> set_seen(Session& session, storage::FetchBatch& batch) {
  NumberSet unseen;
  for (const auto& message : batch.messages) {
    if ((message.flags & storage::kSeen) == 0) unseen.add(message.uid);
  }
  if (unseen.empty()) co_return unseen;
  storage::StoreFlagsRequest request;
  request.uids = unseen;
  request.operation = storage::FlagOperation::add;
  request.system_flags = storage::kSeen;
  auto stored = co_await session.store().store_flags(session.account(), session.selected()->id, std::move(request));
  if (!stored) {  // a full disk must not keep anybody from reading
    session.log().event(log::Level::warning, "seen_not_set", {{"reason", stored.error().text}, {"detail", stored.error().detail}});
    co_return NumberSet();
  }
  session.own_flag_changes(*stored, true);
  auto change = stored->changed.begin();
  for (auto& message : batch.messages) {
    while (change != stored->changed.end() && change->uid < message.uid) ++change;
    if (change == stored->changed.end()) break;
    if (change->uid != message.uid) continue;
    message.flags = change->flags;
    message.mod_seq = change->mod_seq;
  }
  co_return unseen;
}

net::Task<void> write_batch(Session& session, const FetchPlan& plan, FetchWriter& writer, storage::FetchBatch& batch) {
  NumberSet seen_now;
  if (plan.sets_seen && !session.selected()->read_only) {
    RELAIS_CO_TRY(seen_now, co_await set_seen(session, batch));
  }
  for (const auto& message : batch.messages) {
    const bool seen = !seen_now.empty() && seen_now.contains(message.uid);
    if (writer.complete(message)) {
      writer.write(message, seen);
    } else {
      RELAIS_CO_TRY_VOID(co_await writer.stream(message, seen));
    }
    if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
  }
  co_return Result<void>{};
}

// Flags alone, of few messages: what changes() told is the answer.
net::Task<void> write_changes(Session& session, const FetchPlan& plan, const NumberSet& uids,
                              const std::vector<storage::FlagChange>& changed) {
  FetchWriter writer(session, plan);
  for (const auto& change : changed) {
    if (!uids.contains(change.uid)) continue;
    storage::MessageView view;
    view.uid = change.uid;
    view.flags = change.flags;
    view.mod_seq = change.mod_seq;
    writer.write(view, false);
    if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
  }
  co_return Result<void>{};
}

struct Fetched {
  std::uint64_t messages = 0;
  bool unknown_encoding = false;
};

net::Task<Fetched> fetch_all(Session& session, const FetchPlan& plan, const NumberSet& uids) {
  Fetched fetched;
  FetchWriter writer(session, plan);
  storage::FetchBatch batch;
  storage::FetchRequest request;
  request.uids = &uids;
  request.fields = plan.fields;
  request.max_messages = kBatchMessages;
  request.max_octets = kBatchOctets;
  request.content_limit = plan.content_limit;
  do {
    RELAIS_CO_TRY_VOID(co_await session.store().fetch(session.account(), session.selected()->id, request, batch));
    RELAIS_CO_TRY_VOID(co_await write_batch(session, plan, writer, batch));
    fetched.messages += batch.messages.size();
    request.first = batch.next;
    if (batch.next != 0) co_await session.yield();
  } while (batch.next != 0);
  fetched.messages -= writer.left_out();
  fetched.unknown_encoding = writer.unknown_encoding();
  co_return fetched;
}

// RFC 7162 §3.1.4.1 and §3.2.6: leaves those of `uids` that changed, and tells what vanished.
net::Task<std::vector<storage::FlagChange>> narrow_to_changed(Session& session, const FetchArgs& args, NumberSet& uids) {
  const auto& box = *session.selected();
  RELAIS_CO_TRY(auto changes, co_await session.store().changes(session.account(), box.id, *args.changed_since, args.vanished));
  if (args.vanished) {
    // Of the numbers asked for, whether or not the client had them; those that it has and was not told of come as a normal change.
    auto vanished = args.messages.saved
                        ? NumberSet()
                        : changes.vanished.intersect(args.messages.resolve(box.uids.empty() ? box.uid_next : box.uids.back()));
    vanished.remove(box.uids);
    if (!vanished.empty()) append_vanished(session.out(), vanished, true);
  }
  NumberSet changed;
  for (const auto& change : changes.changed) {
    if (uids.contains(change.uid)) changed.add(change.uid);
  }
  uids = std::move(changed);
  co_return std::move(changes.changed);
}

}  // namespace

net::Task<Done> fetch(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_fetch(command.rest, command.uid, session.dialect()));
  if (args.vanished && !session.enabled().qresync) co_return fail(Fault::syntax, "QRESYNC was not enabled");  // RFC 7162 §3.2.6
  if (args.changed_since || args.has(FetchItem::Kind::mod_seq)) session.enable_condstore();                   // RFC 7162 §3.1
  RELAIS_CO_TRY(auto uids, session.selected()->resolve(args.messages, command.uid));
  const auto plan = make_plan(args, command.uid);
  const Done done{command.uid ? "UID FETCH completed" : "FETCH completed"};
  if (args.partial) uids = window_of(uids, *args.partial);
  if (args.changed_since) {
    RELAIS_CO_TRY(const auto changed, co_await narrow_to_changed(session, args, uids));
    if (plan.only_flags()) {
      RELAIS_CO_TRY_VOID(co_await write_changes(session, plan, uids, changed));
      co_return done;
    }
  }
  if (uids.empty()) co_return done;
  RELAIS_CO_TRY(const auto fetched, co_await fetch_all(session, plan, uids));
  if (fetched.unknown_encoding) co_return fail(Fault::refused, "a part's transfer encoding can't be decoded", "UNKNOWN-CTE");
  // What is there was told; messages that another session expunged get no answer, and the client had better ask with NOOP (RFC 9051 §7.1).
  if (!command.uid && fetched.messages < uids.count()) co_return Done{"[EXPUNGEISSUED] some of the messages are gone"};
  co_return done;
}

}  // namespace relais::imap
