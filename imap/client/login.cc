// Logging in, and what a refusal means.
#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"
#include "imap/client/session.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

namespace relais::imap {
namespace {

using Way = ClientLogin::Way;

/// Old servers have no codes, only words. RFC 5530 §3 has the codes that new ones would use.
bool speaks_of_trouble(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kWords{"temporar",       "unavailable",     "too many",
                                                          "internal error", "generic failure", "system error"};
  const auto lower = to_lower(text);
  return std::ranges::any_of(kWords, [&lower](std::string_view word) { return lower.contains(word); });
}

/// The server has said NO or BAD to a login. RFC 5530 §3
Error refusal(const ClientReply& reply) {
  static constexpr std::array<std::string_view, 3> kRefusals{"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"};
  auto error = error_of("the login", reply);
  const bool is_no = reply.status == ClientReply::Status::no;
  if (is_no && error.code.empty() && !speaks_of_trouble(reply.text.text)) error.code = kRefusals.front();
  const bool refused = is_no && std::ranges::find(kRefusals, error.code) != kRefusals.end();
  error.fault = refused ? Fault::refused : Fault::temporary;
  return error;
}

bool fits_sasl(std::string_view text) { return is_utf8(text) && !text.contains('\0'); }

}  // namespace

net::Task<void> Client::Impl::log_in() {
  const auto& login = options.login;
  if (login.user.contains('\0') || login.password.contains('\0')) {
    co_return fail(Fault::refused, "a name or password that cannot be right", "AUTHENTICATIONFAILED");
  }
  const bool sasl = has("AUTH=PLAIN");
  Result<ClientReply> answered = ClientReply{};
  if (login.way == Way::proxied) {
    if (!sasl) co_return fail(Fault::temporary, "the server offers no AUTH=PLAIN", "CANNOT");
    answered = co_await log_in_plain(login.user, login.authenticate_as);
  } else if (login.way == Way::plain && sasl && fits_sasl(login.user) && fits_sasl(login.password)) {
    answered = co_await log_in_plain("", login.user);
  } else if (!has("LOGINDISABLED")) {
    answered = co_await log_in_by_login();
  } else {
    co_return fail(Fault::temporary, "the server offers no way to log in that we know", "CANNOT");
  }
  if (!answered) co_return fail(std::move(answered).error());
  if (answered->status != ClientReply::Status::ok) co_return fail(refusal(*answered));
  co_return Result<void>{};
}

// message = [authzid] UTF8NUL authcid UTF8NUL passwd                           RFC 4616 §2
net::Task<ClientReply> Client::Impl::log_in_plain(const std::string& authorization, const std::string& authentication) {
  std::string message;
  const directory::Wiper wipe_message(message);
  message.reserve(authorization.size() + authentication.size() + options.login.password.size() + 2);  // growing leaves copies behind
  message.append(authorization).append(1, '\0').append(authentication).append(1, '\0').append(options.login.password);
  auto response = to_base64(message);
  const directory::Wiper wipe_response(response);

  const ClientBusy running(*this);
  ClientTaker nobody;
  const auto tag = next_tag();
  const bool initial = has("SASL-IR");  // RFC 4959 §3
  connection->queue(tag + " AUTHENTICATE PLAIN");
  if (initial) connection->queue(" ");
  std::string_view words = initial ? std::string_view(response) : std::string_view();
  for (int asked = initial ? 1 : 0; asked < 3; ++asked) {
    RELAIS_CO_TRY_VOID(co_await send_secret(words, true, "AUTHENTICATE"));
    RELAIS_CO_TRY(auto answered, co_await reply(tag, true, options.timeouts.login, "AUTHENTICATE", nobody));
    if (answered) co_return std::move(*answered);
    words = asked == 0 ? std::string_view(response) : "*";  // PLAIN has nothing more to say: cancelled (RFC 9051 §6.2.2)
  }
  co_return lost("AUTHENTICATE", Error{Fault::closed, "garbage", "a challenge after the last answer"});
}

// login = "LOGIN" SP userid SP password                                        RFC 9051 §9
net::Task<ClientReply> Client::Impl::log_in_by_login() {
  auto login = command();
  auto& pieces = login.pieces();
  login.text("LOGIN ").string(options.login.user).text(" ");
  pieces.back().reserve(pieces.back().size() + 2 * options.login.password.size() + 32);  // growing leaves copies behind
  login.string(options.login.password);
  const struct Wipe {
    ~Wipe() {
      for (auto& piece : secrets) directory::wipe(piece);
    }
    std::vector<std::string>& secrets;
  } wipe{pieces};

  const ClientBusy running(*this);
  ClientTaker nobody;
  const auto tag = next_tag();
  connection->queue(tag + " ");
  for (const auto& piece : pieces) {
    const bool last = &piece == &pieces.back();
    RELAIS_CO_TRY_VOID(co_await send_secret(piece, last, "LOGIN"));
    RELAIS_CO_TRY(auto answered, co_await reply(tag, !last, options.timeouts.login, "LOGIN", nobody));
    if (answered) co_return std::move(*answered);
  }
  co_return lost("LOGIN", {});  // the last piece has an answer
}

net::Task<void> Client::Impl::send_secret(std::string_view octets, bool line, const char* what) {
  std::array<std::string_view, 2> pieces;
  std::size_t count = 0;
  if (!octets.empty()) pieces[count++] = octets;
  if (line) pieces[count++] = "\r\n";
  auto sent = co_await connection->write(std::span(pieces).first(count), by(options.timeouts.write));
  if (!sent) co_return lost(what, sent.error());
  co_return Result<void>{};
}

}  // namespace relais::imap
