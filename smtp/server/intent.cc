// Encoding of intents.
#include "smtp/server/intent.h"

#include "base/encode.h"

namespace relais::smtp {
namespace {

constexpr std::string_view kField = "X-Relais-Intent:";
constexpr std::uint8_t kPlain = 1;    // version of a record without DSN parameters, as nearly all are
constexpr std::uint8_t kWithDsn = 2;
constexpr std::size_t kLine = 76;  // base64 characters a line

std::unexpected<Error> broken(std::string_view what) { return fail(Fault::corrupt, "delivery record damaged", {}, what); }

bool has_dsn(const Intent& intent) {
  if (intent.ret != Ret::unset || !intent.envelope_id.empty() || intent.smtputf8) return true;
  for (const auto& target : intent.targets) {
    if (target.notify.given() || !target.original.empty()) return true;
  }
  return false;
}

}  // namespace

// record = version:u8 id:string sender:string accepted:u64 trace-octets:varint count:varint *( account:u64 login:string recipient:string )
//          and in version 2: ret:u8 smtputf8:u8 envelope-id:string count *( notify:u8 type:string address:string )
std::string encode_intent(const Intent& intent) {
  std::string record;
  const bool dsn = has_dsn(intent);
  put_u8(record, dsn ? kWithDsn : kPlain);
  put_string(record, intent.id);
  put_string(record, intent.sender);
  put_u64(record, static_cast<std::uint64_t>(intent.accepted));
  put_varint(record, intent.trace.size());
  put_varint(record, intent.targets.size());
  for (const auto& target : intent.targets) {
    put_u64(record, target.account);
    put_string(record, target.login);
    put_string(record, target.recipient);
  }
  if (dsn) {
    put_u8(record, static_cast<std::uint8_t>(intent.ret));
    put_u8(record, intent.smtputf8 ? 1 : 0);
    put_string(record, intent.envelope_id);
    for (const auto& target : intent.targets) {
      put_u8(record, target.notify.bits);
      put_string(record, target.original.type);
      put_string(record, target.original.address);
    }
  }
  const auto text = to_base64(record);
  std::string out{kField};
  out.reserve(text.size() + text.size() / kLine * 3 + intent.trace.size() + 32);
  for (std::size_t at = 0; at < text.size(); at += kLine) {
    if (at != 0) out += "\r\n";
    out.append(" ").append(text, at, kLine);
  }
  return out.append("\r\n").append(intent.trace);
}

Result<StoredIntent> decode_intent(std::string_view stored) {
  if (!stored.starts_with(kField)) return broken("no intent field");
  std::string text;
  std::size_t at = kField.size();
  for (;;) {
    const auto end = stored.find("\r\n", at);
    if (end == std::string_view::npos || end == at || stored[at] != ' ') return broken("bad folding");
    text.append(stored.substr(at + 1, end - at - 1));
    at = end + 2;
    if (at >= stored.size() || stored[at] != ' ') break;
  }
  const auto record = from_base64(text);
  if (!record) return broken("not base64");
  Decoder in(*record);
  const auto version = in.u8();
  if (version != kPlain && version != kWithDsn) return broken("unknown version");
  StoredIntent out;
  out.intent.id = in.string();
  out.intent.sender = in.string();
  out.intent.accepted = static_cast<std::int64_t>(in.u64());
  const auto trace = in.varint();
  const auto count = in.varint();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    IntentTarget target;
    target.account = in.u64();
    target.login = in.string();
    target.recipient = in.string();
    out.intent.targets.push_back(std::move(target));
  }
  if (version == kWithDsn) {
    const auto ret = in.u8();
    if (ret > static_cast<std::uint8_t>(Ret::headers)) return broken("bad record");
    out.intent.ret = static_cast<Ret>(ret);
    out.intent.smtputf8 = in.u8() != 0;
    out.intent.envelope_id = in.string();
    for (auto& target : out.intent.targets) {
      target.notify.bits = in.u8();
      target.original.type = in.string();
      target.original.address = in.string();
    }
  }
  if (!in.done() || out.intent.id.empty() || trace > stored.size() - at) return broken("bad record");
  out.intent.trace = stored.substr(at, static_cast<std::size_t>(trace));
  out.message_offset = at + static_cast<std::size_t>(trace);
  return out;
}

}  // namespace relais::smtp
