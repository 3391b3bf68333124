// Writes FETCH responses: from what storage keeps where that is enough, else from the message's octets.
#include "imap/server/fetch_writer.h"

#include "base/ascii.h"
#include "imap/proto/write.h"
#include "imap/server/encoded_part.h"
#include "imap/server/object_id.h"
#include "message/date.h"
#include "message/decode.h"

#include <cstring>

namespace relais::imap {
namespace {

using Kind = FetchItem::Kind;

constexpr std::uint64_t kPiece = 256 * 1024;      // octets of a large message read at a time
constexpr std::uint64_t kHeldWhole = 512 * 1024;  // octets of one response that may pend before any of it is sent

void append_date(std::string& out, std::int64_t seconds, std::int16_t zone) {
  out += '"';
  message::append_imap_date_time(out, {.seconds = seconds, .zone_minutes = zone});
  out += '"';
}

// `<offset.length>` of what has `size` octets.
message::OctetRange window(const FetchItem& item, std::uint64_t size) noexcept {
  if (!item.partial) return {0, size};
  const auto begin = std::min(item.partial->offset, size);
  return {begin, begin + std::min(item.partial->length, size - begin)};
}

bool holds_nul(std::string_view octets) noexcept { return !octets.empty() && std::memchr(octets.data(), 0, octets.size()) != nullptr; }

// A literal never holds NUL; only the literal8 of BINARY may (RFC 9051 §4.3.1). From `begin` on each becomes 0x80, which keeps sizes and
// offsets and is what clients know from other servers. BINARY[] brings the message as it is.
void replace_nuls(std::string& out, std::size_t begin) noexcept {
  while (begin < out.size()) {
    void* const nul = std::memchr(out.data() + begin, 0, out.size() - begin);
    if (nul == nullptr) return;
    *static_cast<char*>(nul) = '\x80';
    begin = static_cast<std::size_t>(static_cast<char*>(nul) - out.data()) + 1;
  }
}

}  // namespace

FetchWriter::FetchWriter(Session& session, const FetchPlan& plan)
    : session_(session), plan_(plan), out_(session.out()), flags_(session.selected()->keywords), sequencer_(session.selected()->uids) {
  sections_ = static_cast<std::size_t>(std::ranges::count_if(plan.items, &PlannedItem::is_section));
}

bool FetchWriter::at_hand(const PlannedItem& planned, const storage::MessageView& view) noexcept {
  return view.has_content || !planned.is_section() || (planned.from_kept_fields() && view.header_fields_complete);
}

bool FetchWriter::complete(const storage::MessageView& view) const noexcept {
  if (view.has_content) return sections_ * view.content.size() <= kHeldWhole;
  return sections_ == 0 || std::ranges::all_of(plan_.items, [&view](const PlannedItem& planned) { return at_hand(planned, view); });
}

void FetchWriter::begin(const storage::MessageView& view, bool seen_now) {
  out_ += "* ";
  append_number(out_, sequencer_.of(view.uid));
  out_ += " FETCH (";
  const auto start = out_.size();
  const auto space = [this, start] {
    if (out_.size() != start) out_ += ' ';
  };
  // A change of flags told unasked goes with the UID (RFC 9051 §7.5.2, RFC 7162 §3.2.4).
  if (plan_.uid || (seen_now && (session_.enabled().rev2 || session_.enabled().condstore))) {
    out_ += "UID ";
    append_number(out_, view.uid);
  }
  if (plan_.flags || seen_now) {
    space();
    out_ += "FLAGS ";
    flags_.append(out_, view.flags, !session_.enabled().rev2 && session_.selected()->is_recent(view.uid));
  }
  if (plan_.mod_seq || (seen_now && session_.enabled().condstore)) {
    space();
    out_ += "MODSEQ (";
    append_number(out_, view.mod_seq);
    out_ += ')';
  }
  if (!plan_.items.empty()) space();
}

void FetchWriter::write(const storage::MessageView& view, bool seen_now) {
  begin(view, seen_now);
  bool first = true;
  for (const auto& planned : plan_.items) {
    if (!std::exchange(first, false)) out_ += ' ';
    write_item(planned, view);
  }
  out_ += ")\r\n";
}

net::Task<void> FetchWriter::stream(const storage::MessageView& view, bool seen_now) {
  const auto start = out_.size();
  sent_ = false;
  begin(view, seen_now);
  bool first = true;
  for (const auto& planned : plan_.items) {
    if (!std::exchange(first, false)) out_ += ' ';
    if (at_hand(planned, view)) write_item(planned, view);
    if (auto done = at_hand(planned, view) ? co_await send_over() : co_await stream_item(planned, view); !done) {
      if (!sent_ && done.error().fault != Fault::closed) {
        out_.resize(start);
        ++left_out_;
        if (done.error().fault == Fault::refused) co_return Result<void>{};  // EXPUNGEISSUED
        co_return done;
      }
      session_.log().event(log::Level::error, "fetch_broken_off",
                           {{"uid", view.uid}, {"reason", done.error().text}, {"detail", done.error().detail}});
      co_return fail(Fault::closed, done.error().text);
    }
  }
  out_ += ")\r\n";
  co_return Result<void>{};
}

void FetchWriter::write_item(const PlannedItem& planned, const storage::MessageView& view) {
  out_ += planned.name;
  switch (planned.item.kind) {
    case Kind::envelope: out_ += view.envelope; break;
    case Kind::body: out_ += view.body; break;
    case Kind::body_structure: out_ += view.body_structure; break;
    case Kind::size: append_number(out_, view.size); break;
    case Kind::internal_date: append_date(out_, view.internal_date, view.internal_zone); break;
    case Kind::save_date:
      if (view.save_date != 0)
        append_date(out_, view.save_date, 0);
      else
        out_ += "NIL";
      break;
    case Kind::email_id:
      out_ += '(';
      append_object_id(out_, 'E', view.email_id);
      out_ += ')';
      break;
    case Kind::thread_id:
      if (view.thread_id == 0) {
        out_ += "NIL";
      } else {
        out_ += '(';
        append_object_id(out_, 'T', view.thread_id);
        out_ += ')';
      }
      break;
    case Kind::binary:
    case Kind::binary_size: write_binary(planned, view); break;
    default: write_section(planned, view); break;
  }
}

// ---- from the octets at hand

const message::Structure* FetchWriter::structure(const storage::MessageView& view) {
  if (structure_uid_ != view.uid) {
    auto decoded = message::decode_parts(view.parts);
    if (!decoded) return nullptr;
    structure_ = std::move(*decoded);
    structure_uid_ = view.uid;
  }
  return &structure_;
}

std::optional<message::OctetRange> FetchWriter::locate(const PlannedItem& planned, const storage::MessageView& view) {
  const auto text = planned.text();
  if (planned.item.part.empty()) {
    if (text == message::SectionText::all) return message::OctetRange{0, view.size};
    if (text != message::SectionText::mime && view.has_content) {
      const auto split = message::header_end(view.content);
      return text == message::SectionText::header ? message::OctetRange{0, split} : message::OctetRange{split, view.size};
    }
  }
  const auto* parts = structure(view);
  if (parts == nullptr) return std::nullopt;
  return message::find_section(*parts, planned.item.part, text);
}

void FetchWriter::write_literal(std::string_view octets, const FetchItem& item, bool binary) {
  const auto part = window(item, octets.size());
  octets = octets.substr(static_cast<std::size_t>(part.begin), static_cast<std::size_t>(part.size()));
  if (binary && holds_nul(octets)) {
    append_literal8_start(out_, octets.size());
    out_ += octets;
    return;
  }
  append_literal_start(out_, octets.size());
  const auto begin = out_.size();
  out_ += octets;
  if (!binary) replace_nuls(out_, begin);
}

void FetchWriter::write_section(const PlannedItem& planned, const storage::MessageView& view) {
  if (planned.from_kept_fields() && view.header_fields_complete) {
    scratch_.clear();
    planned.fields->append(scratch_, view.header_fields);
    write_literal(scratch_, planned.item, false);
    return;
  }
  const auto range = locate(planned, view);
  if (!range || range->end > view.content.size()) {
    out_ += "NIL";
    return;
  }
  const auto octets = view.content.substr(static_cast<std::size_t>(range->begin), static_cast<std::size_t>(range->size()));
  if (planned.fields) {
    scratch_.clear();
    planned.fields->append(scratch_, octets);
    write_literal(scratch_, planned.item, false);
  } else {
    write_literal(octets, planned.item, false);
  }
}

void FetchWriter::write_binary(const PlannedItem& planned, const storage::MessageView& view) {
  const auto range = locate(planned, view);
  const auto* parts = structure(view);
  const auto* part = parts != nullptr ? message::find(*parts, planned.item.part) : nullptr;
  if (!range || part == nullptr || range->end > view.content.size()) {
    out_ += planned.item.kind == Kind::binary_size ? "0" : "NIL";
    return;
  }
  // BINARY[] is the message as it is (RFC 3516 §4.2).
  const auto encoding = planned.item.part.empty() ? message::Encoding::binary : part->encoding;
  write_decoded(planned, encoding, view.content.substr(static_cast<std::size_t>(range->begin), static_cast<std::size_t>(range->size())));
}

void FetchWriter::write_decoded(const PlannedItem& planned, message::Encoding encoding, std::string_view octets) {
  if (planned.item.kind == Kind::binary_size) {
    const auto size = message::decoded_size(encoding, octets);
    unknown_encoding_ = unknown_encoding_ || !size;
    append_number(out_, size ? *size : 0);
    return;
  }
  const auto decoded = message::decode_transfer_strict(encoding, octets);
  if (!decoded) {
    unknown_encoding_ = true;
    out_ += "NIL";
    return;
  }
  write_literal(*decoded, planned.item, true);
}

// ---- from storage, in pieces

net::Task<void> FetchWriter::stream_item(const PlannedItem& planned, const storage::MessageView& view) {
  out_ += planned.name;
  const bool size_only = planned.item.kind == Kind::binary_size;
  const auto range = locate(planned, view);
  if (!range) {
    out_ += size_only ? "0" : "NIL";
    co_return Result<void>{};
  }
  if (size_only || planned.item.kind == Kind::binary) co_return co_await stream_binary(planned, view, *range);
  if (!planned.fields) {
    const auto part = window(planned.item, range->size());
    append_literal_start(out_, part.size());
    co_return co_await stream_range(view, {range->begin + part.begin, range->begin + part.end});
  }
  std::string header;
  RELAIS_CO_TRY_VOID(
      co_await session_.store().read_content(session_.account(), session_.selected()->id, view.uid, range->begin, range->size(), header));
  scratch_.clear();
  planned.fields->append(scratch_, header);
  write_literal(scratch_, planned.item, false);
  co_return co_await send_over();
}

// Twice over the part: how large it is decoded must be said first.
net::Task<void> FetchWriter::stream_binary(const PlannedItem& planned, const storage::MessageView& view, message::OctetRange range) {
  const auto* part = planned.item.part.empty() ? nullptr : message::find(*structure(view), planned.item.part);
  const auto encoding = part != nullptr ? part->encoding : message::Encoding::binary;
  std::string piece;
  std::uint64_t size = 0;
  bool has_nul = false;
  for (EncodedPart measured(session_, view.uid, range, encoding);;) {
    auto more = co_await measured.next(piece);
    if (!more && more.error().code == "UNKNOWN-CTE") {
      unknown_encoding_ = true;
      out_ += planned.item.kind == Kind::binary_size ? "0" : "NIL";
      co_return Result<void>{};
    }
    if (!more) co_return fail(std::move(more).error());
    if (!*more) break;
    size += piece.size();
    has_nul = has_nul || holds_nul(piece);
  }
  if (planned.item.kind == Kind::binary_size) {
    append_number(out_, size);
    co_return Result<void>{};
  }
  auto wanted = window(planned.item, size);
  if (has_nul) {
    append_literal8_start(out_, wanted.size());
  } else {
    append_literal_start(out_, wanted.size());
  }
  std::uint64_t at = 0;
  for (EncodedPart read(session_, view.uid, range, encoding); wanted.size() > 0;) {
    RELAIS_CO_TRY(const auto more, co_await read.next(piece));
    if (!more) co_return fail(Fault::corrupt, "a part changed while it was read");
    const auto end = at + piece.size();
    if (end > wanted.begin) {
      const auto until = std::min(end, wanted.end);
      out_.append(piece, static_cast<std::size_t>(wanted.begin - at), static_cast<std::size_t>(until - wanted.begin));
      wanted.begin = until;
      RELAIS_CO_TRY_VOID(co_await send_over());
    }
    at = end;
  }
  co_return Result<void>{};
}

net::Task<void> FetchWriter::send_over() {
  if (!session_.full()) co_return Result<void>{};
  sent_ = true;
  co_return co_await session_.flush();
}

net::Task<void> FetchWriter::stream_range(const storage::MessageView& view, message::OctetRange range) {
  while (range.begin < range.end) {
    const auto length = std::min(kPiece, range.size());
    const auto before = out_.size();
    RELAIS_CO_TRY_VOID(
        co_await session_.store().read_content(session_.account(), session_.selected()->id, view.uid, range.begin, length, out_));
    if (out_.size() != before + length) co_return fail(Fault::corrupt, "the message is shorter than recorded");
    replace_nuls(out_, before);
    range.begin += length;
    RELAIS_CO_TRY_VOID(co_await send_over());
  }
  co_return Result<void>{};
}

}  // namespace relais::imap
