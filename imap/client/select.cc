// SELECT, EXAMINE, UNSELECT.
#include "base/ascii.h"
#include "base/encode.h"
#include "base/random.h"
#include "imap/client/session.h"

#include <utility>

namespace relais::imap {
namespace {

using Kind = Response::Kind;

/// "(a b)" as words.
std::vector<std::string> words_in(std::string_view arguments) {
  std::vector<std::string> out;
  if (arguments.starts_with('(') && arguments.ends_with(')')) arguments = arguments.substr(1, arguments.size() - 2);
  for (const auto word : split(arguments, ' ')) {
    if (!word.empty()) out.emplace_back(word);
  }
  return out;
}

std::uint32_t number32(std::string_view text) {
  const auto number = parse_u64(text);
  return number && *number <= 0xFFFF'FFFF ? static_cast<std::uint32_t>(*number) : 0;
}

// resp-text-code                                                               RFC 9051 §7.1, RFC 7162 §3.1.2
void take_code(const ResponseCode& code, ClientMailbox& found) {
  if (code.name == "CLOSED") {  // RFC 7162 §3.2.11: what came before it was the old mailbox's
    found = {};
  } else if (code.name == "UIDVALIDITY") {
    found.uid_validity = number32(code.arguments);
  } else if (code.name == "UIDNEXT") {
    found.uid_next = number32(code.arguments);
  } else if (code.name == "HIGHESTMODSEQ") {
    found.highest_mod_seq = parse_u64(code.arguments);
  } else if (code.name == "NOMODSEQ") {
    found.highest_mod_seq.reset();
  } else if (code.name == "PERMANENTFLAGS") {
    found.permanent_flags = words_in(code.arguments);
  } else if (code.name == "MAILBOXID") {
    const auto ids = words_in(code.arguments);
    if (!ids.empty()) found.mailbox_id = ids.front();
  }
}

bool take(Response& response, ClientMailbox& found) {
  switch (response.kind) {
    case Kind::exists: found.exists = response.as<std::uint32_t>(); return true;
    case Kind::recent: return true;
    case Kind::flags: found.flags = std::move(std::get<Response::Words>(response.data)); return true;
    case Kind::vanished: found.vanished.add(response.as<VanishedResult>().uids); return true;
    case Kind::fetch: found.changed.push_back(std::move(std::get<FetchResult>(response.data))); return true;
    case Kind::ok: {
      const auto& text = response.as<StatusText>();
      if (text.code) take_code(*text.code, found);
      return text.code.has_value();
    }
    default: return false;
  }
}

// select-param                                                                 RFC 7162 §7
std::string parameters(const ClientSelect& what) {
  constexpr std::size_t kMaxKnown = 6'000;  // octets: longer ones are left out, which asks for everything (RFC 7162 §4)
  if (what.qresync) {
    auto text = " (QRESYNC (" + std::to_string(what.qresync->uid_validity) + " " + std::to_string(what.qresync->mod_seq);
    const auto known = what.qresync->known.to_string();
    if (!known.empty() && known.size() <= kMaxKnown) text += " " + known;
    return text + "))";
  }
  return what.condstore ? " (CONDSTORE)" : "";
}

}  // namespace

// RFC 9051 §6.3.2
net::Task<ClientMailbox> Client::select(ClientSelect what) {
  auto text = impl_->command();
  text.text(what.examine ? "EXAMINE " : "SELECT ").string(what.wire_name).text(parameters(what));
  ClientMailbox found;
  ClientTaker taker;
  taker.take = [&found](Response& response) { return take(response, found); };
  RELAIS_CO_TRY(const auto answer, co_await impl_->whole("SELECT", std::move(text), taker));
  found.read_only = what.examine || (answer.code && answer.code->name == "READ-ONLY");
  co_return found;
}

net::Task<void> Client::unselect() {
  ClientTaker nobody;
  if (has("UNSELECT") || has("IMAP4REV2")) {
    RELAIS_CO_TRY_VOID(co_await impl_->ok("UNSELECT", impl_->command().text("UNSELECT"), nobody));
    co_return Result<void>{};
  }
  auto nowhere = impl_->command();
  nowhere.text("EXAMINE ").string("none-" + to_hex(random_octets(12)));
  RELAIS_CO_TRY_VOID(co_await impl_->run("EXAMINE", std::move(nowhere), nobody));  // NO, and nothing is selected
  co_return Result<void>{};
}

}  // namespace relais::imap
