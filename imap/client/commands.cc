// The short commands, what a client knows of its session, and its end.
#include "imap/client/session.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace relais::imap {
namespace {

using Kind = Response::Kind;

// Commands under way at a time: their text is taken by the smallest socket buffers while the server is still writing replies, so that
// neither side waits for the other.
constexpr std::size_t kWindow = 64;
constexpr std::size_t kWindowOctets = 8 * 1024;

std::string word_list(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out.append(" ").append(word);
  return out;
}

}  // namespace

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

const std::vector<std::string>& Client::capabilities() const noexcept { return impl_->capabilities; }
const std::vector<std::string>& Client::capabilities_before() const noexcept { return impl_->capabilities_before; }
const std::string& Client::greeting() const noexcept { return impl_->greeting; }
bool Client::has(std::string_view capability) const noexcept { return impl_->has(capability); }
bool Client::usable() const noexcept { return !impl_->gone && !impl_->busy; }
net::Connection& Client::connection() noexcept { return *impl_->connection; }
std::chrono::microseconds Client::round_trip() const noexcept { return impl_->round_trip; }
std::uint64_t Client::garbled() const noexcept { return impl_->garbled; }
void Client::listen(std::function<void(const Response&)> listener) { impl_->listener = std::move(listener); }
void Client::set_deadline(std::optional<net::Deadline> deadline) noexcept { impl_->deadline = deadline; }

void Client::abort() noexcept {
  impl_->gone = true;
  if (impl_->connection) impl_->connection->close();
}

// RFC 2971 §3.1
net::Task<IdFields> Client::id(IdFields ours) {
  auto text = impl_->command();
  text.text("ID ");
  if (ours.empty()) text.text("NIL");
  for (std::size_t i = 0; i < ours.size(); ++i) {
    text.text(i == 0 ? "(" : " ").string(ours[i].first).text(" ");
    if (ours[i].second)
      text.string(*ours[i].second);
    else
      text.text("NIL");
  }
  if (!ours.empty()) text.text(")");
  IdFields theirs;
  ClientTaker taker;
  taker.take = [&theirs](Response& response) {
    if (response.kind != Kind::id) return false;
    theirs = std::move(std::get<Response::Fields>(response.data));
    return true;
  };
  RELAIS_CO_TRY_VOID(co_await impl_->ok("ID", std::move(text), taker));
  co_return theirs;
}

// RFC 5161 §3.1
net::Task<std::vector<std::string>> Client::enable(std::vector<std::string> extensions) {
  std::vector<std::string> on;
  ClientTaker taker;
  taker.take = [&on](Response& response) {
    if (response.kind != Kind::enabled) return false;
    const auto& words = response.as<Response::Words>();
    on.insert(on.end(), words.begin(), words.end());
    return true;
  };
  RELAIS_CO_TRY_VOID(co_await impl_->ok("ENABLE", impl_->command().text("ENABLE" + word_list(extensions)), taker));
  co_return on;
}

// RFC 9051 §6.3.10
net::Task<Namespaces> Client::namespaces() {
  Namespaces found;
  ClientTaker taker;
  taker.take = [&found](Response& response) {
    if (response.kind != Kind::namespaces) return false;
    found = std::move(std::get<Namespaces>(response.data));
    return true;
  };
  RELAIS_CO_TRY_VOID(co_await impl_->ok("NAMESPACE", impl_->command().text("NAMESPACE"), taker));
  co_return found;
}

// RFC 9051 §6.3.9, RFC 5258 §3, RFC 5819 §2
net::Task<Client::Listing> Client::list(std::string reference, std::string pattern, std::string return_options, std::string status_items) {
  auto text = impl_->command();
  text.text("LIST ").string(reference).text(" ").string(pattern);
  if (!status_items.empty()) {
    if (!return_options.empty()) return_options += ' ';
    return_options += "STATUS (" + status_items + ")";
  }
  if (!return_options.empty()) text.text(" RETURN (" + return_options + ")");
  Listing found;
  ClientTaker taker;
  taker.take = [&found](Response& response) {
    if (response.kind == Kind::list && !response.as<ListedMailbox>().lsub) {
      found.mailboxes.push_back(std::move(std::get<ListedMailbox>(response.data)));
    } else if (response.kind == Kind::status) {
      found.status.push_back(std::move(std::get<MailboxStatus>(response.data)));
    } else {
      return false;
    }
    return true;
  };
  RELAIS_CO_TRY_VOID(co_await impl_->whole("LIST", std::move(text), taker));
  co_return found;
}

// RFC 3501 §6.3.9. Some servers answer it with LIST.
net::Task<std::vector<ListedMailbox>> Client::lsub(std::string reference, std::string pattern) {
  auto text = impl_->command();
  text.text("LSUB ").string(reference).text(" ").string(pattern);
  std::vector<ListedMailbox> found;
  ClientTaker taker;
  taker.take = [&found](Response& response) {
    if (response.kind != Kind::list) return false;
    found.push_back(std::move(std::get<ListedMailbox>(response.data)));
    return true;
  };
  RELAIS_CO_TRY_VOID(co_await impl_->whole("LSUB", std::move(text), taker));
  co_return found;
}

// RFC 9051 §6.3.11
net::Task<MailboxStatus> Client::status(std::string wire_name, std::string items) {
  auto text = impl_->command();
  text.text("STATUS ").string(wire_name).text(" (" + items + ")");
  std::optional<MailboxStatus> found;
  ClientTaker taker;
  taker.take = [&found](Response& response) {
    if (response.kind != Kind::status) return false;
    found = std::move(std::get<MailboxStatus>(response.data));
    return true;
  };
  const auto begun = std::chrono::steady_clock::now();
  RELAIS_CO_TRY_VOID(co_await impl_->ok("STATUS", std::move(text), taker));
  impl_->measured(std::chrono::steady_clock::now() - begun);
  if (!found) co_return fail(Fault::refused, "the server tells no status", "NONEXISTENT");
  co_return std::move(*found);
}

net::Task<void> Client::noop() {
  ClientTaker nobody;
  const auto begun = std::chrono::steady_clock::now();
  RELAIS_CO_TRY_VOID(co_await impl_->ok("NOOP", impl_->command().text("NOOP"), nobody));
  impl_->measured(std::chrono::steady_clock::now() - begun);
  co_return Result<void>{};
}

// An average that forgets: a quarter of it is the last one.
void Client::Impl::measured(std::chrono::steady_clock::duration took) {
  const auto now = std::max(std::chrono::duration_cast<std::chrono::microseconds>(took), std::chrono::microseconds(1));
  round_trip = round_trip.count() == 0 ? now : (3 * round_trip + now) / 4;
}

// RFC 9051 §6.4.4 where ESEARCH is offered (RFC 4731 §3.1): "7:100000" in place of all the numbers.
net::Task<NumberSet> Client::uid_search(std::string criteria) {
  NumberSet found;
  bool told = false;
  ClientTaker taker;
  taker.take = [&found, &told](Response& response) {
    if (response.kind == Kind::search) {
      found.add(response.as<SearchResult>().numbers);
    } else if (response.kind == Kind::esearch) {
      found.add(response.as<EsearchResult>().all);
    } else {
      return false;
    }
    told = true;
    return true;
  };
  const std::string_view result = has("ESEARCH") || has("IMAP4REV2") ? "UID SEARCH RETURN (ALL) " : "UID SEARCH ";
  RELAIS_CO_TRY_VOID(co_await impl_->whole("SEARCH", impl_->command().text(result).text(criteria), taker));
  // RFC 3501 §6.4.4: an empty result is told too. Silence must not be taken for it: a mirror would expunge all that it has.
  if (!told) co_return fail(Fault::temporary, "the server tells no result", "garbage", "SEARCH");
  co_return found;
}

// RFC 9051 §6.4.6, RFC 7162 §3.1.3
net::Task<NumberSet> Client::uid_store(NumberSet uids, std::string what) {
  NumberSet modified;
  for (const auto& set : set_texts(uids)) {
    ClientTaker nobody;
    RELAIS_CO_TRY(const auto text, co_await impl_->ok("STORE", impl_->command().text("UID STORE " + set + " " + what), nobody));
    if (!text.code || text.code->name != "MODIFIED") continue;
    if (const auto numbers = NumberSet::parse(text.code->arguments)) modified.add(*numbers);
  }
  co_return modified;
}

// RFC 4315 §2.1
net::Task<void> Client::uid_expunge(NumberSet uids) {
  if (!has("UIDPLUS") && !has("IMAP4REV2")) co_return fail(Fault::refused, "the server has no UID EXPUNGE", "CANNOT");
  for (const auto& set : set_texts(uids)) {
    ClientTaker nobody;
    RELAIS_CO_TRY_VOID(co_await impl_->ok("EXPUNGE", impl_->command().text("UID EXPUNGE " + set), nobody));
  }
  co_return Result<void>{};
}

net::Task<ClientReply> Client::command(std::string text, std::function<net::Task<void>(Response)> untagged) {
  ClientTaker taker;
  taker.hand_over = std::move(untagged);
  RELAIS_CO_TRY(auto answered, co_await impl_->run("a command", impl_->command().text(text), taker));
  if (taker.failed) co_return fail(std::move(*taker.failed));
  co_return answered;
}

net::Task<std::vector<ClientReply>> Client::pipeline(std::vector<std::string> texts,
                                                     std::function<net::Task<void>(std::size_t, Response)> untagged) {
  auto& session = *impl_;
  if (session.gone) co_return fail(Fault::closed, "the connection is gone");
  const ClientBusy running(session);
  std::vector<ClientReply> replies;
  std::vector<std::string> tags;
  std::size_t under_way = 0;  // octets
  ClientTaker taker;
  if (untagged) taker.hand_over = [&](Response response) { return untagged(replies.size(), std::move(response)); };
  while (replies.size() < texts.size()) {
    while (tags.size() < texts.size() && tags.size() - replies.size() < kWindow &&
           (under_way == 0 || under_way + texts[tags.size()].size() <= kWindowOctets)) {
      under_way += texts[tags.size()].size();
      session.connection->queue(tags.emplace_back(session.next_tag()) + " ");
      session.connection->queue(texts[tags.size() - 1]);
      session.connection->queue("\r\n");
    }
    RELAIS_CO_TRY_VOID(co_await session.flush("pipelined commands"));
    const auto next = replies.size();
    RELAIS_CO_TRY(auto answered, co_await session.reply(tags[next], false, session.options.timeouts.command, "pipelined commands", taker));
    under_way -= texts[next].size();
    replies.push_back(std::move(*answered));
  }
  if (taker.failed) co_return fail(std::move(*taker.failed));
  co_return replies;
}

net::asio::awaitable<void> Client::logout() {
  if (!usable()) {
    abort();
    co_return;
  }
  impl_->leaving = true;
  const auto limit = impl_->options.timeouts.goodbye;
  impl_->end_of_phase = net::in(limit);
  ClientTaker nobody;
  static_cast<void>(co_await impl_->run("LOGOUT", impl_->command().text("LOGOUT"), nobody, limit));
  abort();
}

std::unique_ptr<net::Connection> Client::release() {
  RELAIS_CHECK(!impl_->busy);
  impl_->gone = true;
  return std::move(impl_->connection);
}

}  // namespace relais::imap
