// What an account may send: whose name it writes under, what is mended, and whether there is anybody to take it.
#include "base/ascii.h"
#include "message/header.h"
#include "message/submission.h"
#include "smtp/server/session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace relais::smtp {
namespace {

// The result of a call, or nullopt where it takes longer than `limit`: what comes then is forgotten.
net::asio::awaitable<std::optional<Result<void>>> within(std::chrono::milliseconds limit, net::Task<void> call) {
  struct Wait {
    explicit Wait(const net::asio::any_io_executor& executor, std::chrono::milliseconds pause) : timer(executor, pause) {}
    net::asio::steady_timer timer;
    std::optional<Result<void>> result;
    std::exception_ptr thrown;
  };
  const auto executor = co_await net::asio::this_coro::executor;
  const auto wait = std::make_shared<Wait>(executor, limit);
  auto ended = [wait](std::exception_ptr thrown, Result<void> result) {
    wait->thrown = thrown;
    wait->result = std::move(result);
    wait->timer.cancel();
  };
  net::asio::co_spawn(executor, std::move(call), std::move(ended));
  if (!wait->result) {
    boost::system::error_code cancelled;
    co_await wait->timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, cancelled));
  }
  if (wait->thrown) std::rethrow_exception(wait->thrown);
  co_return wait->result;
}

std::string domain_of(std::string_view address) { return std::string(address.substr(std::min(address.size(), address.rfind('@') + 1))); }

}  // namespace

bool Session::may_send_everywhere() {
  if (account_) return true;
  if (context_.relay_from.empty() || context_.policy.lmtp) return false;
  if (!trusted_) trusted_ = std::ranges::any_of(context_.relay_from, [this](const net::Network& network) { return network.contains(log_.peer()); });
  return *trusted_;
}

// What the user can still correct is told at once: a domain that is not there, or takes no mail.
net::Task<Reply> Session::check_domain(const std::string& destination) {
  const auto& check = context_.platform.outgoing->check;
  if (!check) co_return Reply{};
  auto parsed = parse_destination(destination);
  if (!parsed || parsed->kind != Destination::Kind::mx) co_return Reply{};
  const auto found = co_await within(context_.options.domain_check, check(std::move(*parsed)));
  if (!found || *found || found->error().fault != Fault::refused) co_return Reply{};
  co_return reply_for(found->error());
}

// Of a machine that may send without login: its octets stay as they are, but our domains' signatures are put on them.
void Session::note_author(Arrival& arrival) const {
  const auto facts = message::mend_submission(arrival.content, {.hostname = context_.options.hostname, .id = transaction_.id, .now = 0, .zone_minutes = 0});
  if (facts.from_fields == 1 && facts.from_clear && !facts.from.empty()) arrival.author_domain = domain_of(facts.from.front());
}

// RFC 6409 §6.1 lets us refuse; §8 says what may be mended.
net::asio::awaitable<std::optional<Reply>> Session::mend(Arrival& arrival) {
  auto mended = message::mend_submission(arrival.content, {.hostname = context_.options.hostname,
                                                           .id = transaction_.id,
                                                           .now = context_.platform.clock.seconds(),
                                                           .zone_minutes = 0});
  if (mended.from_fields > 1) co_return Reply{550, "5.6.0", "more than one From field, see RFC 5322 section 3.6"};
  if (mended.from_fields == 1 && !mended.from_clear) co_return Reply{550, "5.6.0", "the From field cannot be understood"};
  if (!mended.sender_clear) co_return Reply{550, "5.6.0", "the Sender field cannot be understood"};
  for (const auto& author : mended.from) {
    if (auto refused = co_await check_author(author, "From")) co_return refused;
  }
  for (const auto& sender : mended.sender) {
    if (auto refused = co_await check_author(sender, "Sender")) co_return refused;
  }
  std::string author;
  if (mended.from_fields == 0) {
    // RFC 5322 §3.6 wants one, and signatures stand on it.
    author = transaction_.sender.empty() ? account_->address : transaction_.sender;
    mended.header.insert(0, "From: <" + author + ">\r\n");
  } else if (!mended.from.empty()) {
    author = mended.from.front();
  }
  arrival.author_domain = domain_of(author);
  arrival.message_id = mended.message_id;
  const auto repaired = [&](bool done, std::string_view what) {
    if (done) arrival.repairs.append(arrival.repairs.empty() ? "" : ", ").append(what);
  };
  repaired(mended.from_fields == 0, "From added");
  repaired(mended.added_date, "Date added");
  repaired(mended.added_message_id, "Message-ID added");
  repaired(mended.removed_bcc != 0, "Bcc removed");
  if (!arrival.repairs.empty()) {
    arrival.mended = std::move(mended.header);
    arrival.mended.append(arrival.content.substr(std::min(arrival.content.size(), mended.body_begin)));
    arrival.content = arrival.mended;
  }
  co_return std::nullopt;
}

net::asio::awaitable<std::optional<Reply>> Session::check_author(const std::string& address, std::string_view field) {
  if (iequals(address, transaction_.sender)) co_return std::nullopt;  // MAIL has asked for it
  const auto allowed = co_await context_.platform.directory.may_send_as(account_->number, address);
  if (!allowed) co_return Reply{451, "4.3.0", "temporary failure, try again later"};
  if (*allowed) co_return std::nullopt;
  log_.event(log::Level::info, "author refused", {{"id", transaction_.id}, {"field", field}, {"author", address}, {"user", account_->address}});
  co_return Reply{550, "5.7.1", "you may not send as <" + address + ">, which stands in the field " + std::string(field)};
}

}  // namespace relais::smtp
