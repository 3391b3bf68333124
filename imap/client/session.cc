// Sending commands and reading what comes back.
#include "imap/client/session.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/log.h"
#include "imap/proto/cursor.h"

#include <algorithm>
#include <array>
#include <utility>

namespace relais::imap {
namespace {

constexpr std::size_t kResponseCost = 256;   // octets that the value of a response takes beside its text, about
constexpr std::size_t kMaxServerText = 300;  // octets of a server's words in an Error

/// A server's words, fit for a log.
std::string words_of(std::string_view text) {
  std::string out(text.substr(0, kMaxServerText));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

// capability = ("AUTH=" auth-type) / atom                                      RFC 9051 §9. They are told on to our clients.
void keep_atoms(std::vector<std::string>& words) {
  std::erase_if(words, [](const std::string& word) { return !std::ranges::all_of(word, is_atom_char); });
}

/// What is known of a message whose literal is about to come: the framer's text ends in front of its octets. nullopt where it is no FETCH.
std::optional<FetchResult> so_far(std::string_view text, std::size_t literals) {
  for (const auto* const close : {")", "))"}) {  // Domino wraps items in parentheses of their own
    auto response = parse_response(std::string(text) + close, literals);
    if (!response || response->kind != Response::Kind::fetch) continue;
    auto& found = std::get<FetchResult>(response->data);
    if (found.sections.empty() || !found.sections.back().octets || found.sections.back().octets->literal != literals - 1)
      return std::nullopt;
    return std::move(found);
  }
  return std::nullopt;
}

}  // namespace

ClientBusy::ClientBusy(Client::Impl& session) : session_(session) {
  RELAIS_CHECK(!session.busy);
  session.busy = true;
}

Error error_of(std::string_view command, const ClientReply& reply) {
  static constexpr std::array<std::string_view, 3> kPassing{"UNAVAILABLE", "INUSE", "SERVERBUG"};
  const bool bad = reply.status == ClientReply::Status::bad;
  Error error;
  error.code = reply.text.code ? reply.text.code->name : bad ? "BAD" : "";
  error.fault = std::ranges::find(kPassing, error.code) != kPassing.end() ? Fault::temporary : Fault::refused;
  error.text = std::string(bad ? "the server does not understand " : "the server refuses ").append(command);
  error.detail = words_of(reply.text.text);
  return error;
}

bool Client::Impl::has(std::string_view capability) const noexcept {
  return std::ranges::find(capabilities, capability) != capabilities.end();
}

net::Deadline Client::Impl::by(Milliseconds limit) const {
  auto until = net::in(limit);
  if (deadline) until = std::min(until, *deadline);
  if (end_of_phase) until = std::min(until, *end_of_phase);
  return until;
}

ClientCommand Client::Impl::command() const {
  using Literals = ClientCommand::Literals;
  if (has("LITERAL+")) return ClientCommand(Literals::plus);
  return ClientCommand(has("LITERAL-") || has("IMAP4REV2") ? Literals::minus : Literals::sync);
}

std::unexpected<Error> Client::Impl::lost(const char* what, const Error& why) {
  gone = true;
  connection->close();
  Error error{Fault::closed, why.code, "the server closed the connection", std::string("in ") + what};
  if (why.code == "timeout") {
    error.text = "the server does not answer";
  } else if (why.code == "garbage") {
    error.text = "the server's answer makes no sense";
    error.detail += ": " + why.text;
  } else if (why.code == "shutdown") {
    error.text = why.text;
  } else if (!why.detail.empty()) {
    error.detail += ": " + why.detail;
  }
  if (bye) {
    error.code = bye->code ? bye->code->name : "bye";
    error.text = "the server ended the session";
    error.detail = std::string("in ") + what + ": " + words_of(bye->text);
  }
  return fail(std::move(error));
}

void Client::Impl::note(const Response& response) {
  using Kind = Response::Kind;
  if (response.kind == Kind::capability) {
    capabilities = response.as<Response::Words>();
    keep_atoms(capabilities);
    capabilities_known = true;
    return;
  }
  const auto* status = std::get_if<StatusText>(&response.data);
  if (status == nullptr) return;
  if (response.kind == Kind::bye) bye = *status;
  if (status->code && status->code->name == "CAPABILITY") {
    capabilities.clear();
    for (const auto word : split(status->code->arguments, ' ')) {
      if (capabilities.size() == Response::kMaxWords) break;
      if (!word.empty()) capabilities.push_back(to_upper(word));
    }
    keep_atoms(capabilities);
    capabilities_known = true;
  }
}

net::Task<void> Client::Impl::take_literal(Milliseconds limit, ClientTaker& taker) {
  auto left = framer.literal_size();
  bool wanted = false;
  if (taker.receiver != nullptr && !taker.failed) {
    if (const auto known = so_far(framer.text(), framer.literals())) {
      const auto begun = taker.receiver->begin(*known);
      if (!begun) taker.failed = begun.error();
      wanted = begun.has_value();
    }
  }
  while (left > 0) {
    if (connection->buffered().empty()) RELAIS_CO_TRY_VOID(co_await connection->fill(by(limit), net::Awaiting::data));
    const auto piece = connection->buffered().substr(0, left);
    const auto size = piece.size();
    if (wanted && size > 0) {
      auto taken = co_await taker.receiver->octets(piece);
      if (!taken) {
        taker.failed = std::move(taken).error();
        wanted = false;
      }
    }
    connection->consume(size);
    left -= size;
  }
  co_return Result<void>{};
}

net::Task<std::optional<Response>> Client::Impl::read(Milliseconds limit, std::optional<net::Deadline> until, net::Awaiting awaiting,
                                                      ClientTaker& taker) {
  using Event = ResponseFramer::Event;
  for (;;) {
    const auto step = framer.feed(connection->buffered());
    connection->consume(step.used);
    if (step.event == Event::broken) co_return fail(Fault::closed, "a response beyond all limits", "garbage");
    if (step.event == Event::literal) {
      auto taken = co_await take_literal(limit, taker);
      if (!taken) {  // within a literal nobody knows where the next response begins
        gone = true;
        connection->close();
        co_return fail(std::move(taken).error());
      }
      framer.literal_taken();
    } else if (step.event == Event::response) {
      auto parsed = parse_response(framer.text(), framer.literals());
      // What stands behind "*" concerns nothing but itself, so it can be passed over. Anything else would have been an answer.
      const bool passable = framer.text().empty() || framer.text().starts_with('*');
      if (taker.take) taker.gathered += framer.text().size() + kResponseCost;
      framer.next();
      if (taker.gathered > options.answer) co_return fail(Fault::closed, "an answer beyond all limits", "garbage");
      if (parsed) {
        note(*parsed);
        co_return std::optional(std::move(*parsed));
      }
      log::event(garbled == 0 ? log::Level::warning : log::Level::debug, "imap_client_garbled",
                 {{"peer", connection->endpoints().peer_address}, {"what", parsed.error().text}});
      if (!passable || ++garbled > kMaxGarbled) co_return fail(Fault::closed, parsed.error().text, "garbage");
    } else {
      const auto most = !until ? by(limit) : deadline ? std::min(*until, *deadline) : *until;
      RELAIS_CO_TRY(const auto woken, co_await connection->fill(most, awaiting));
      if (woken == net::Woken::signal && awaiting == net::Awaiting::command) co_return std::nullopt;
    }
  }
}

net::Task<Response> Client::Impl::next(Milliseconds limit, const char* what, ClientTaker& taker) {
  auto response = co_await read(limit, std::nullopt, net::Awaiting::data, taker);
  if (!response) co_return lost(what, response.error());
  if ((*response)->kind == Response::Kind::bye && !leaving) co_return lost(what, {});
  co_return std::move(**response);
}

net::asio::awaitable<void> Client::Impl::untagged(Response response, ClientTaker& taker) {
  if (taker.hand_over) {
    if (taker.failed) co_return;
    auto taken = co_await taker.hand_over(std::move(response));
    if (!taken) taker.failed = std::move(taken).error();
  } else if (response.kind == Response::Kind::fetch && taker.receiver != nullptr) {
    if (taker.failed) co_return;
    auto taken = co_await taker.receiver->end(std::move(std::get<FetchResult>(response.data)));
    if (!taken) taker.failed = std::move(taken).error();
  } else if (!(taker.take && taker.take(response)) && listener) {
    listener(response);
  }
}

net::Task<void> Client::Impl::flush(const char* what) {
  auto sent = co_await connection->flush(by(options.timeouts.write));
  if (!sent) co_return lost(what, sent.error());
  co_return Result<void>{};
}

net::Task<std::optional<ClientReply>> Client::Impl::reply(const std::string& tag, bool go_ahead, Milliseconds limit, const char* what,
                                                          ClientTaker& taker) {
  using Kind = Response::Kind;
  using Status = ClientReply::Status;
  for (;;) {
    RELAIS_CO_TRY(auto response, co_await next(limit, what, taker));
    if (response.kind == Kind::go_ahead) {
      if (go_ahead) co_return std::nullopt;
      continue;
    }
    if (response.tag.empty()) {
      co_await untagged(std::move(response), taker);
      continue;
    }
    const auto kind = response.kind;
    if (response.tag != tag || (kind != Kind::ok && kind != Kind::no && kind != Kind::bad)) {
      co_return lost(what, Error{Fault::closed, "garbage", "an answer to a command that was not sent"});
    }
    const auto status = kind == Kind::ok ? Status::ok : kind == Kind::no ? Status::no : Status::bad;
    co_return ClientReply{status, std::move(std::get<StatusText>(response.data))};
  }
}

net::Task<std::optional<ClientReply>> Client::Impl::send(const char* what, const std::string& tag, ClientCommand& command,
                                                         Milliseconds limit, ClientTaker& taker) {
  const auto& pieces = command.pieces();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    connection->queue(pieces[i]);
    if (i + 1 == pieces.size()) break;
    RELAIS_CO_TRY_VOID(co_await flush(what));
    RELAIS_CO_TRY(auto early, co_await reply(tag, true, limit, what, taker));
    if (early) co_return early;
  }
  co_return std::nullopt;
}

net::Task<ClientReply> Client::Impl::run(const char* what, ClientCommand command, ClientTaker& taker, std::optional<Milliseconds> limit) {
  if (gone) co_return fail(Fault::closed, "the connection is gone", "", what);
  if (!command.sendable()) co_return fail(Fault::refused, "octets that IMAP cannot carry", "CANNOT", what);
  const ClientBusy running(*this);
  const auto patience = limit.value_or(options.timeouts.command);
  const auto tag = next_tag();
  connection->queue(tag + " ");
  RELAIS_CO_TRY(auto early, co_await send(what, tag, command, patience, taker));
  if (early) co_return std::move(*early);
  connection->queue("\r\n");
  RELAIS_CO_TRY_VOID(co_await flush(what));
  RELAIS_CO_TRY(auto answered, co_await reply(tag, false, patience, what, taker));
  co_return std::move(*answered);
}

net::Task<StatusText> Client::Impl::ok(const char* what, ClientCommand command, ClientTaker& taker) {
  RELAIS_CO_TRY(auto answered, co_await run(what, std::move(command), taker));
  if (taker.failed) co_return fail(std::move(*taker.failed));
  if (answered.status != ClientReply::Status::ok) co_return fail(error_of(what, answered));
  co_return std::move(answered.text);
}

net::Task<StatusText> Client::Impl::whole(const char* what, ClientCommand command, ClientTaker& taker) {
  const auto before = garbled;
  RELAIS_CO_TRY(auto text, co_await ok(what, std::move(command), taker));
  if (garbled != before) co_return fail(Fault::temporary, "a part of the server's answer makes no sense", "garbage", what);
  co_return std::move(text);
}

}  // namespace relais::imap
