// SELECT and EXAMINE, with what a client needs to resynchronise.
#include "imap/server/select.h"

#include "base/ascii.h"
#include "imap/proto/select.h"
#include "imap/proto/write.h"
#include "imap/server/object_id.h"

namespace relais::imap {
namespace {

void append_code(std::string& out, std::string_view code, std::uint64_t number, std::string_view text) {
  out.append("* OK [").append(code).append(" ");
  append_number(out, number);
  out.append("] ").append(text).append("\r\n");
}

void append_overview(Session& session, const Selected& box, const storage::MailboxView& view, const std::string& asked_name) {
  auto& out = session.out();
  const auto& info = view.info;
  out += "* FLAGS (";
  append_all_flags(out, box.keywords);
  out += ")\r\n* OK [PERMANENTFLAGS (";
  if (box.read_only) {
    out += ")] no flags can be changed\r\n";
  } else {
    append_all_flags(out, box.keywords);
    out.append(keywords_free(box.keywords) ? " \\*" : "").append(")] flags permitted\r\n");
  }
  append_count(out, box.exists(), "EXISTS");
  if (!session.enabled().rev2) {  // gone from RFC 9051
    append_count(out, box.recent_count(), "RECENT");
    if (view.first_unseen != 0) append_code(out, "UNSEEN", box.sequence_of(view.first_unseen), "first unseen message");
  }
  append_code(out, "UIDVALIDITY", info.uid_validity, "UIDs valid");
  append_code(out, "UIDNEXT", info.uid_next, "predicted next UID");
  append_code(out, "HIGHESTMODSEQ", info.highest_mod_seq, "highest modification sequence");
  out.append("* OK [MAILBOXID (").append(mailbox_id_text(info.id)).append(")] its identifier\r\n");  // RFC 8474 §4.2
  if (session.enabled().rev2) {
    ListLine line;
    std::string buffer;
    line.name = session.shown_name(info.name, buffer);
    if (line.name != asked_name) line.old_name = asked_name;  // RFC 9051 §6.3.9.7
    append_list(out, line, session.dialect());
  }
}

// Numbers of a set one by one, without ever holding them: a client may write ranges of four thousand millions.
class Walk {
 public:
  explicit Walk(const NumberSet& set) : ranges_(set.ranges()) {}
  std::optional<std::uint32_t> next() noexcept {
    if (at_ == ranges_.size()) return std::nullopt;
    const auto number = ranges_[at_].first + offset_;
    if (number == ranges_[at_].last) {
      ++at_;
      offset_ = 0;
    } else {
      ++offset_;
    }
    return number;
  }

 private:
  std::span<const NumberRange> ranges_;
  std::size_t at_ = 0;
  std::uint32_t offset_ = 0;
};

// RFC 7162 §3.2.5.2: the longest front of the mailbox that the client has as we do; what vanished there it knows already. Ends at the first
// pair that does not fit, so after EXISTS steps at most.
storage::Uid known_front(const Selected& box, const QresyncParams::SeqMatch& match) {
  storage::Uid front = 0;
  Walk uids(match.uids);
  Walk sequences(match.sequences);
  for (;;) {
    const auto uid = uids.next();
    const auto sequence = sequences.next();
    if (!uid || !sequence || !box.uids.contains(*uid) || box.sequence_of(*uid) != *sequence) return front;
    front = *uid;
  }
}

// What changed since the client was last here: VANISHED (EARLIER) and FETCH (RFC 7162 §3.2.5).
net::Task<void> resynchronise(Session& session, Selected& box, const QresyncParams& params) {
  RELAIS_CO_TRY(auto changes, co_await session.store().changes(session.account(), box.id, params.mod_seq, true));
  auto vanished = std::move(changes.vanished);
  vanished.remove(box.uids);  // gone only after the mailbox was opened: told as a normal change
  if (box.uid_next <= 0xffff'fffe) vanished.remove(NumberRange{box.uid_next, 0xffff'ffff});
  if (params.known_uids) vanished = vanished.intersect(*params.known_uids);
  if (changes.vanished_unknown && params.seq_match) {
    if (const auto front = known_front(box, *params.seq_match); front > 0) vanished.remove(NumberRange{1, front});
  }
  if (!vanished.empty()) append_vanished(session.out(), vanished, true);

  FlagsWriter writer(changes.keywords);
  for (const auto& change : changes.changed) {
    if (!box.uids.contains(change.uid) || (params.known_uids && !params.known_uids->contains(change.uid))) continue;
    auto& out = session.out();
    out += "* ";
    append_number(out, box.sequence_of(change.uid));
    out += " FETCH (UID ";
    append_number(out, change.uid);
    out += " FLAGS ";
    writer.append(out, change.flags, !session.enabled().rev2 && box.is_recent(change.uid));
    out += " MODSEQ (";
    append_number(out, change.mod_seq);
    out += "))\r\n";
    if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
  }
  co_return Result<void>{};
}

}  // namespace

net::Task<Done> select(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_select(command.rest, session.dialect()));
  if (args.qresync && !session.enabled().qresync) co_return fail(Fault::syntax, "QRESYNC was not enabled");  // RFC 7162 §3.2.3
  if (session.selected() != nullptr) {
    session.unselect();
    session.out() += "* OK [CLOSED] previous mailbox is closed\r\n";  // RFC 9051 §6.3.2, RFC 7162 §3.2.11: whatever is enabled
  }
  if (args.condstore) session.enable_condstore();
  RELAIS_CO_TRY(auto name, session.stored_name(args.mailbox));
  const bool read_only = command.command == Command::examine;
  session.listen();
  auto opened = co_await session.store().open(session.account(), std::move(name), !read_only);
  if (!opened) {
    session.unselect();
    co_return fail(std::move(opened).error());
  }
  auto& view = *opened;
  auto box = std::make_unique<Selected>();
  box->id = view.info.id;
  box->uid_validity = view.info.uid_validity;
  box->uid_next = view.info.uid_next;
  if (view.info.recent_from < view.info.uid_next) box->recent.add(NumberRange{view.info.recent_from, view.info.uid_next - 1});
  box->synced = view.info.highest_mod_seq;
  box->safe = box->synced;
  box->read_only = read_only;
  box->uids = std::move(view.uids);
  box->keywords = std::move(view.info.keywords);
  append_overview(session, *box, view, args.mailbox);
  if (args.qresync && args.qresync->uid_validity == box->uid_validity && args.qresync->mod_seq < box->synced) {
    auto done = co_await resynchronise(session, *box, *args.qresync);
    if (!done) {
      session.unselect();
      co_return fail(std::move(done).error());
    }
  }
  session.select(std::move(box));
  co_return Done{read_only ? "[READ-ONLY] EXAMINE completed" : "[READ-WRITE] SELECT completed"};
}

}  // namespace relais::imap
