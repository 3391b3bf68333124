// SEARCH and UID SEARCH: finds in passes, each over what the cheaper ones before it left open.
#include "imap/server/search.h"

#include "base/ascii.h"
#include "imap/proto/search.h"
#include "imap/proto/write.h"
#include "imap/server/search_program.h"
#include "imap/server/window.h"
#include "message/header.h"

namespace relais::imap {
namespace {

constexpr std::uint32_t kBatchMessages = 2'000;
constexpr std::size_t kBatchKeys = 50'000;           // keys times messages before others get their turn
constexpr std::uint32_t kBatchOctets = 256 * 1024;   // some milliseconds of searching text before others get their turn
constexpr std::uint32_t kContentLimit = 256 * 1024;  // a larger message is read part by part

struct Found {
  NumberSet uids;
  std::vector<std::pair<storage::Uid, storage::ModSeq>> mod_seqs;  // only where the query asks for them
};

std::uint32_t fields_of(Level level) noexcept {
  switch (level) {
    case Level::meta: return storage::kFetchFlags | storage::kFetchMeta;
    case Level::header: return storage::kFetchFlags | storage::kFetchMeta | storage::kFetchHeaderFields;
    case Level::content:
      return storage::kFetchFlags | storage::kFetchMeta | storage::kFetchHeaderFields | storage::kFetchParts | storage::kFetchContent;
    default: return storage::kFetchFlags;
  }
}

// Reads what a search looks at of a message that is too large to be held whole: its header, and those of its parts that are text.
net::Task<void> read_large(Session& session, const storage::MessageView& view, SearchNeeds needs, SearchText& text) {
  text.clear();
  std::string header;
  std::string body;
  const auto read = [&session, &view](std::uint64_t begin, std::uint64_t end, std::string& into) {
    into.clear();
    return session.store().read_content(session.account(), session.selected()->id, view.uid, begin, end - begin, into);
  };
  RELAIS_CO_TRY(const auto structure, message::decode_parts(view.parts));
  for (const auto& part : structure.parts) {
    RELAIS_CO_TRY_VOID(co_await read(part.header_begin, part.body_begin, header));
    if (part.parent == message::kNoPart) text.set_header(header);
    if (!needs.body) break;
    if (needs.part_headers && part.parent != message::kNoPart) text.add_part_header(header);
    if (part.is_multipart || part.is_message || !SearchText::is_text(header)) continue;
    RELAIS_CO_TRY_VOID(co_await read(part.body_begin, part.body_end, body));
    text.add_part(header, part.encoding, body);
  }
  co_return Result<void>{};
}

// One pass: decides what can be decided with what the level brings. @return what stays open
net::Task<NumberSet> pass(Session& session, const SearchProgram& program, Level level, const NumberSet& candidates, bool mod_seqs,
                          Found& found) {
  NumberSet open;
  SearchText text;
  storage::FetchBatch batch;
  storage::FetchRequest request;
  request.uids = &candidates;
  request.fields = fields_of(level);
  request.max_messages = static_cast<std::uint32_t>(std::clamp<std::size_t>(kBatchKeys / program.keys(), 8, kBatchMessages));
  request.max_octets = kBatchOctets;
  request.content_limit = kContentLimit;
  do {
    RELAIS_CO_TRY_VOID(co_await session.store().fetch(session.account(), session.selected()->id, request, batch));
    for (const auto& view : batch.messages) {
      if (level == Level::content) {
        if (view.has_content) {
          read_text(text, view, program.needs());
        } else {
          auto read = co_await read_large(session, view, program.needs(), text);
          if (!read && read.error().fault == Fault::refused) continue;  // expunged meanwhile
          if (!read) co_return fail(std::move(read).error());
        }
      }
      const auto verdict = program.evaluate({.view = view, .level = level, .text = &text});
      if (verdict == Verdict::unknown) open.add(view.uid);
      if (verdict != Verdict::yes) continue;
      found.uids.add(view.uid);
      if (mod_seqs) found.mod_seqs.emplace_back(view.uid, view.mod_seq);
    }
    request.first = batch.next;
    if (batch.next != 0) co_await session.yield();
  } while (batch.next != 0);
  co_return open;
}

net::Task<Found> find(Session& session, const SearchArgs& args) {
  const auto& box = *session.selected();
  RELAIS_CO_TRY(const auto program, SearchProgram::compile(args.root, box, session.server().clock().seconds()));
  Found found;
  auto open = program.candidates(box.uids);
  if (program.sets_only()) {
    found.uids = std::move(open);
    co_return found;
  }
  for (const auto level : {Level::flags, Level::meta, Level::header, Level::content}) {
    if (open.empty()) break;
    if (level != Level::content && !program.uses(level)) continue;
    RELAIS_CO_TRY(open, co_await pass(session, program, level, open, args.uses_mod_seq, found));
  }
  std::ranges::sort(found.mod_seqs);
  co_return found;
}

// RFC 5182 §2.1, RFC 9394 §3.2: what "$" holds afterwards.
NumberSet saved_of(const SearchReturn& returns, const NumberSet& uids, const NumberSet& partial) {
  const bool some = returns.min || returns.max || returns.partial;
  if (uids.empty() || !some || returns.all || returns.count) return uids;
  auto saved = partial;
  if (returns.min) saved.add(uids.front());
  if (returns.max) saved.add(uids.back());
  return saved;
}

// RFC 4731 §3.2: that of the one message, or the highest of those returned.
std::uint64_t mod_seq_of(const SearchReturn& returns, const Found& found) {
  const auto& all = found.mod_seqs;
  std::uint64_t highest = 0;
  if (returns.given && (returns.min || returns.max) && !returns.all && !returns.count && !returns.partial) {
    if (returns.min) highest = all.front().second;
    if (returns.max) highest = std::max(highest, all.back().second);
    return highest;
  }
  for (const auto& [uid, mod_seq] : all) highest = std::max(highest, mod_seq);
  return highest;
}

// The answer of RFC 3501 names every number, and goes out as it is written.
net::Task<void> send_numbers(Session& session, const NumberSet& numbers, std::optional<std::uint64_t> mod_seq) {
  auto& out = session.out();
  out += "* SEARCH";
  for (const auto range : numbers.ranges()) {
    for (std::uint64_t number = range.first; number <= range.last; ++number) {
      out += ' ';
      append_number(out, number);
      if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
    }
  }
  if (mod_seq) {
    out += " (MODSEQ ";
    append_number(out, *mod_seq);
    out += ')';
  }
  out += "\r\n";
  co_return Result<void>{};
}

net::Task<void> reply(Session& session, const Tagged& command, const SearchArgs& args, const Found& found) {
  auto& box = *session.selected();
  const auto& returns = args.returns;
  const auto partial = returns.partial ? window_of(found.uids, *returns.partial) : NumberSet();
  if (returns.save) {
    auto saved = saved_of(returns, found.uids, partial);
    box.saved = saved.empty() ? nullptr : std::make_unique<NumberSet>(std::move(saved));
  }
  const auto numbers = command.uid ? found.uids : box.sequences_of(found.uids);
  std::optional<std::uint64_t> mod_seq;
  if (!found.mod_seqs.empty()) mod_seq = mod_seq_of(returns, found);
  if (!returns.given && !session.enabled().rev2) {
    co_return co_await send_numbers(session, numbers, mod_seq);
  }
  // RFC 5182 §2.4: SAVE alone is answered by the tagged reply only.
  if (returns.given && !returns.all && !returns.min && !returns.max && !returns.count && !returns.partial) co_return Result<void>{};
  const auto partial_numbers = command.uid ? partial : box.sequences_of(partial);
  Esearch result;
  result.tag = command.tag;
  result.uid = command.uid;
  if (returns.min && !numbers.empty()) result.min = numbers.front();
  if (returns.max && !numbers.empty()) result.max = numbers.back();
  if (returns.all || !returns.given) result.all = &numbers;
  if (returns.count) result.count = numbers.count();
  if (returns.partial) {
    result.partial = returns.partial;
    result.partial_found = &partial_numbers;
  }
  result.mod_seq = mod_seq;
  append_esearch(session.out(), result);
  co_return Result<void>{};
}

}  // namespace

net::Task<Done> search(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_search(command.rest, session.dialect()));
  // RFC 6855 §3: everything is UTF-8 then.
  if (!args.charset.empty() && session.enabled().utf8_accept) co_return fail(Fault::syntax, "no CHARSET after ENABLE UTF8=ACCEPT");
  auto& box = *session.selected();
  if (args.uses_mod_seq) session.enable_condstore();  // RFC 7162 §3.1.5
  Result<Found> found;
  if (args.charset.empty() || args.charset == "US-ASCII" || args.charset == "UTF-8") {
    found = co_await find(session, args);
  } else {
    found = fail(Fault::refused, "the texts of a search are US-ASCII or UTF-8", "BADCHARSET (US-ASCII UTF-8)");
  }
  if (!found) {
    if (args.returns.save && found.error().fault != Fault::syntax) box.saved.reset();  // RFC 9051 §6.4.4.1
    co_return fail(std::move(found).error());
  }
  RELAIS_CO_TRY_VOID(co_await reply(session, command, args, *found));
  // RFC 9051 §7.1 EXPUNGEISSUED: messages that are gone were not looked at.
  co_return Done{command.uid ? "UID SEARCH completed" : "SEARCH completed"};
}

}  // namespace relais::imap
