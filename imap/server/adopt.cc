// Takes over a session: its mailbox is opened here, and what the client believes is compared with what is.
#include "imap/server/adopt.h"

#include "base/ascii.h"
#include "imap/proto/select.h"
#include "imap/proto/write.h"
#include "imap/server/capability.h"

#include <algorithm>

namespace relais::imap {
namespace {

std::unexpected<Error> not_the_same(const char* detail) { return fail(Fault::refused, "the mailbox is not the same", "", detail); }

bool same_capabilities(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto has = [](const std::vector<std::string>& all, const std::string& one) {
    return std::ranges::any_of(all, [&](const std::string& other) { return iequals(one, other); });
  };
  return a.size() == b.size() && std::ranges::all_of(a, [&](const std::string& one) { return has(b, one); });
}

/// The bits of flags as a platform has written them; nullopt where there is one that the mailbox does not have.
std::optional<storage::FlagBits> bits_of(const std::vector<std::string>& flags, const std::vector<std::string>& keywords) {
  storage::FlagBits bits = 0;
  for (const auto& flag : flags) {
    if (const auto system = system_flag(flag)) {
      bits |= *system;
      continue;
    }
    const auto keyword = std::ranges::find_if(keywords, [&](const std::string& known) { return iequals(known, flag); });
    if (keyword == keywords.end()) return std::nullopt;
    bits |= storage::FlagBits{1} << (storage::kFirstKeyword + static_cast<unsigned>(keyword - keywords.begin()));
  }
  return bits;
}

/// What the client believes of messages, asked in ascending order.
class Beliefs {
 public:
  Beliefs(const KnownFlags& known, const std::vector<std::string>& keywords) : runs_(known.runs) {
    for (const auto& set : known.sets) sets_.push_back(bits_of(set, keywords));
  }
  bool right(storage::Uid uid, storage::FlagBits flags) {
    while (at_ < runs_.size() && runs_[at_].last < uid) ++at_;
    return at_ < runs_.size() && runs_[at_].first <= uid && sets_[runs_[at_].set] == flags;
  }

 private:
  const std::vector<KnownFlags::Run>& runs_;
  std::vector<std::optional<storage::FlagBits>> sets_;
  std::size_t at_ = 0;
};

// Flags that are not as the client believes. More than it needs to hear does no harm.
net::Task<void> tell_flags(Session& session, const KnownFlags& known, const NumberSet& uids) {
  auto& box = *session.selected();
  Beliefs beliefs(known, box.keywords);
  FlagsWriter writer(box.keywords);
  storage::FetchRequest request;
  request.uids = &uids;
  request.fields = storage::kFetchFlags;
  storage::FetchBatch batch;
  for (request.first = 1; request.first != 0; request.first = batch.next) {
    RELAIS_CO_TRY_VOID(co_await session.store().fetch(session.account(), box.id, request, batch));
    for (const auto& message : batch.messages) {
      if (beliefs.right(message.uid, message.flags)) continue;
      session.append_flags_response({.uid = message.uid, .flags = message.flags, .mod_seq = message.mod_seq}, writer);
      if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
    }
  }
  co_return Result<void>{};
}

net::Task<void> adopt_mailbox(Session& session, Handover::Mailbox from, HandoverTurn turn) {
  auto dialect = session.dialect();
  dialect.utf8 = from.utf8;
  RELAIS_CO_TRY(auto args, parse_select(from.select, dialect));
  RELAIS_CO_TRY(auto name, session.stored_name(std::move(args.mailbox)));
  session.listen();
  RELAIS_CO_TRY(auto view, co_await session.store().open(session.account(), std::move(name), !from.read_only));
  if (view.info.uid_validity != from.uid_validity) co_return not_the_same("another UIDVALIDITY");
  auto added = view.uids;
  added.remove(from.uids);
  // A message between those that the client knows would have a sequence number that is another's.
  if (!added.empty() && !from.uids.empty() && added.front() < from.uids.back()) co_return not_the_same("a message that was not there");
  const auto common = from.uids.intersect(view.uids);

  auto box = std::make_unique<Selected>();
  box->id = view.info.id;
  box->uid_validity = view.info.uid_validity;
  box->uid_next = std::max(view.info.uid_next, from.uids.empty() ? 1 : from.uids.back() + 1);
  box->synced = view.info.highest_mod_seq;
  box->read_only = from.read_only;
  box->gone = from.uids;
  box->gone.remove(view.uids);
  box->safe = box->gone.empty() ? box->synced : 1;  // which change has removed them is not known
  box->keywords = std::move(view.info.keywords);
  box->uids = std::move(from.uids);
  box->uids.add(added);
  if (!added.empty()) {
    const auto recent = std::max(view.info.recent_from, added.front());
    if (recent < view.info.uid_next) box->recent.add(NumberRange{recent, view.info.uid_next - 1});
  }
  turn.end();  // others need not wait for a client that is slow to listen
  session.select(std::move(box));
  session.append_flag_lists();
  if (!added.empty()) session.append_exists();
  RELAIS_CO_TRY_VOID(co_await tell_flags(session, from.flags, common));
  if (session.enabled().qresync) session.append_safe_mod_seq();
  co_return Result<void>{};
}

}  // namespace

net::Task<void> adopt(Session& session, Handover from) {
  const storage::AccountRef account{storage::AccountId{from.who.account.number}, from.who.account.placement.shard};
  session.go_on(account, from.who.origin.names, std::move(from.idle_tag));
  session.enabled() = {from.condstore, from.qresync, from.rev2, from.utf8_accept};
  if (!same_capabilities(from.capabilities, own_capabilities(session.server().options()))) {
    session.out() += "* CAPABILITY ";
    append_capabilities(session.out(), session);
    session.out() += "\r\n";
  }
  if (from.selected) co_return co_await adopt_mailbox(session, std::move(*from.selected), std::move(from.turn));
  co_return Result<void>{};
}

}  // namespace relais::imap
