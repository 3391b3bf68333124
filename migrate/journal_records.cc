// The journal's records and keys to octets and back.
#include "migrate/journal_records.h"

#include "base/encode.h"
#include "directory/digest.h"

#include <algorithm>
#include <limits>

namespace relais::migrate {
namespace {

constexpr std::uint8_t kVersion = 1;  // of every record here
constexpr std::uint8_t kVerifiedInFull = 1;
constexpr std::size_t kMaxNameInKey = 200;

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Fault::corrupt, "the journal of moves is damaged", "", std::string(what) + " record does not decode");
}

bool known(Stage stage) noexcept {
  constexpr std::array kStages{Stage::planned, Stage::copying, Stage::tailing, Stage::cutover, Stage::switching,
                               Stage::native,  Stage::settled, Stage::stuck,   Stage::skipped};
  return std::ranges::find(kStages, stage) != kStages.end();
}

void put_signed(std::string& out, std::int64_t v) { put_u64(out, static_cast<std::uint64_t>(v)); }

/// A varint that has to fit: what does not makes the record damaged.
template <class T>
class Narrow {
 public:
  explicit Narrow(Decoder& in) : value_(in.varint()), fits_(value_ <= std::numeric_limits<T>::max()) {}
  T into(bool& all_fit) const noexcept {
    all_fit = all_fit && fits_;
    return static_cast<T>(value_);
  }

 private:
  std::uint64_t value_;
  bool fits_;
};

std::string name_in_key(std::string_view name) {
  if (name.size() <= kMaxNameInKey) return std::string(name);
  return std::string(name.substr(0, kMaxNameInKey)) + '\xFF' + directory::digest(directory::Digest::sha256, name);
}

}  // namespace

std::string_view to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::planned: return "planned";
    case Stage::copying: return "copying";
    case Stage::tailing: return "tailing";
    case Stage::cutover: return "cutover";
    case Stage::switching: return "switching";
    case Stage::native: return "native";
    case Stage::settled: return "settled";
    case Stage::stuck: return "stuck";
    case Stage::skipped: return "skipped";
  }
  return "unknown";
}

bool may_follow(Stage now, Stage next) noexcept {
  if (now == next) return true;
  switch (next) {
    case Stage::planned: return now == Stage::skipped;
    case Stage::copying: return now == Stage::planned || now == Stage::tailing || now == Stage::stuck || now == Stage::skipped;
    // switching: only where nothing came of it, because the record could not be written for sure
    case Stage::tailing: return now == Stage::copying || now == Stage::cutover || now == Stage::switching;
    case Stage::cutover: return now == Stage::tailing;
    case Stage::switching: return now == Stage::cutover;
    case Stage::native: return now == Stage::switching;
    case Stage::settled: return now == Stage::native;
    case Stage::stuck: return now != Stage::native && now != Stage::settled && now != Stage::skipped;
    case Stage::skipped: return now == Stage::planned || now == Stage::copying || now == Stage::tailing || now == Stage::stuck;
  }
  return false;
}

std::string_view to_string(WaveRecord::State state) noexcept {
  switch (state) {
    case WaveRecord::State::planned: return "planned";
    case WaveRecord::State::running: return "running";
    case WaveRecord::State::paused: return "paused";
    case WaveRecord::State::done: return "done";
    case WaveRecord::State::rolled_back: return "rolled back";
  }
  return "unknown";
}

std::string encode(const StageRecord& r) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(r.stage));
  put_u8(out, r.consents);
  put_u8(out, r.verified_in_full ? kVerifiedInFull : 0);
  put_signed(out, r.since);
  put_signed(out, r.not_before);
  put_varint(out, r.epoch);
  put_u16(out, r.shard);
  put_varint(out, r.attempts);
  put_varint(out, r.failures);
  put_string(out, r.platform);
  put_string(out, r.wave);
  put_string(out, r.error);
  for (const std::uint64_t n : {std::uint64_t{r.last.mailboxes}, r.last.appended, r.last.octets, r.last.flags, r.last.expunged,
                                static_cast<std::uint64_t>(r.last.took.count())})
    put_varint(out, n);
  for (const auto freeze : r.freezes_ms) put_varint(out, freeze);
  for (const auto n : {r.messages, r.copied_messages, r.copied_octets}) put_varint(out, n);
  return out;
}

Result<StageRecord> decode_stage(std::string_view octets) {
  Decoder in(octets);
  StageRecord r;
  bool fits = in.u8() == kVersion;
  r.stage = static_cast<Stage>(in.u8());
  r.consents = in.u8();
  const auto flags = in.u8();
  r.verified_in_full = (flags & kVerifiedInFull) != 0;
  r.since = static_cast<std::int64_t>(in.u64());
  r.not_before = static_cast<std::int64_t>(in.u64());
  r.epoch = in.varint();
  r.shard = in.u16();
  r.attempts = Narrow<std::uint16_t>(in).into(fits);
  r.failures = Narrow<std::uint16_t>(in).into(fits);
  r.platform = in.string();
  r.wave = in.string();
  r.error = in.string();
  r.last.mailboxes = Narrow<std::uint32_t>(in).into(fits);
  r.last.appended = in.varint();
  r.last.octets = in.varint();
  r.last.flags = in.varint();
  r.last.expunged = in.varint();
  r.last.took = std::chrono::milliseconds(Narrow<std::int64_t>(in).into(fits));
  for (auto& freeze : r.freezes_ms) freeze = Narrow<std::uint32_t>(in).into(fits);
  r.messages = in.varint();
  r.copied_messages = in.varint();
  r.copied_octets = in.varint();
  if (!in.done() || !fits || !known(r.stage) || flags > kVerifiedInFull) return damaged("stage");
  return r;
}

std::string encode(const MailboxStep& r) {
  std::string out;
  put_u8(out, kVersion);
  put_u32(out, r.cursor.uid_validity);
  put_u32(out, r.cursor.uid_next);
  put_u32(out, r.cursor.messages);
  put_u64(out, r.cursor.highest_mod_seq);
  put_string(out, r.wire);
  put_string(out, r.name);
  return out;
}

Result<MailboxStep> decode_mailbox_step(std::string_view octets) {
  Decoder in(octets);
  MailboxStep r;
  const auto version = in.u8();
  r.cursor.uid_validity = in.u32();
  r.cursor.uid_next = in.u32();
  r.cursor.messages = in.u32();
  r.cursor.highest_mod_seq = in.u64();
  r.wire = in.string();
  r.name = in.string();
  if (!in.done() || version != kVersion) return damaged("mailbox");
  return r;
}

std::string encode(const Finding& f) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(f.weight));
  put_u32(out, f.uid);
  for (const auto* text : {&f.code, &f.mailbox, &f.text, &f.source_value, &f.target_value}) put_string(out, *text);
  return out;
}

Result<Finding> decode_finding(std::string_view octets) {
  Decoder in(octets);
  Finding f;
  const auto version = in.u8();
  const auto weight = in.u8();
  f.weight = static_cast<Weight>(weight);
  f.uid = in.u32();
  for (auto* text : {&f.code, &f.mailbox, &f.text, &f.source_value, &f.target_value}) *text = in.string();
  if (!in.done() || version != kVersion || weight > static_cast<std::uint8_t>(Weight::red)) return damaged("finding");
  return f;
}

std::string encode(const UseRecord& r) {
  std::string out;
  put_u8(out, kVersion);
  put_u32(out, static_cast<std::uint32_t>(r.last_imap));
  put_u32(out, static_cast<std::uint32_t>(r.last_pop));
  return out;
}

Result<UseRecord> decode_use(std::string_view octets) {
  Decoder in(octets);
  const auto version = in.u8();
  UseRecord r;
  r.last_imap = static_cast<std::int32_t>(in.u32());
  r.last_pop = static_cast<std::int32_t>(in.u32());
  if (!in.done() || version != kVersion) return damaged("use");
  return r;
}

std::string encode(const WaveRecord& r) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(r.state));
  put_u32(out, r.accounts);
  put_u32(out, r.at_once);
  for (const auto time : {r.created, r.started, r.ended}) put_signed(out, time);
  for (const auto* text : {&r.platform, &r.name, &r.why, &r.window}) put_string(out, *text);
  return out;
}

Result<WaveRecord> decode_wave(std::string_view octets) {
  Decoder in(octets);
  WaveRecord r;
  const auto version = in.u8();
  const auto state = in.u8();
  r.state = static_cast<WaveRecord::State>(state);
  r.accounts = in.u32();
  r.at_once = in.u32();
  for (auto* time : {&r.created, &r.started, &r.ended}) *time = static_cast<std::int64_t>(in.u64());
  for (auto* text : {&r.platform, &r.name, &r.why, &r.window}) *text = in.string();
  if (!in.done() || version != kVersion || state > static_cast<std::uint8_t>(WaveRecord::State::rolled_back)) return damaged("wave");
  return r;
}

std::string encode(const JournalEvent& e) {
  std::string out;
  put_u8(out, kVersion);
  put_signed(out, e.time);
  for (const auto* text : {&e.kind, &e.subject, &e.text}) put_string(out, *text);
  return out;
}

Result<JournalEvent> decode_event(std::string_view octets) {
  Decoder in(octets);
  JournalEvent e;
  const auto version = in.u8();
  e.time = static_cast<std::int64_t>(in.u64());
  for (auto* text : {&e.kind, &e.subject, &e.text}) *text = in.string();
  if (!in.done() || version != kVersion) return damaged("event");
  return e;
}

std::string mailbox_step_key(std::string_view wire) { return "m" + name_in_key(wire); }

std::string finding_prefix(std::string_view code) { return "f" + std::string(code) + '\0'; }

std::string finding_prefix(std::string_view code, std::string_view mailbox) { return finding_prefix(code) + name_in_key(mailbox) + '\0'; }

std::string finding_key(std::string_view code, std::string_view mailbox, storage::Uid uid) {
  auto key = finding_prefix(code, mailbox);
  put_u32(key, uid);
  return key;
}

std::string use_key(AccountNumber account) {
  std::string key = "l";
  put_u64(key, account);
  return key;
}

std::string wave_key(std::string_view wave) { return "w" + std::string(wave); }
std::string wave_account_prefix(std::string_view wave) { return "x" + std::string(wave) + '\0'; }
std::string wave_account_key(std::string_view wave, std::string_view address) { return wave_account_prefix(wave) + std::string(address); }

std::string event_key(std::uint64_t serial) {
  std::string key = "e";
  put_u64(key, serial);
  return key;
}

}  // namespace relais::migrate
