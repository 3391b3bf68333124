// IDLE: waiting for what a server tells by itself.
#include "imap/client/session.h"

#include <algorithm>
#include <utility>

namespace relais::imap {
namespace {

constexpr std::chrono::minutes kRenewed{28};  // RFC 9051 §6.3.13: at least every 29 minutes

/// Something about a mailbox; "* OK Still here" is not.
bool is_news(const Response& response) {
  using Kind = Response::Kind;
  switch (response.kind) {
    case Kind::exists:
    case Kind::expunge:
    case Kind::fetch:
    case Kind::vanished:
    case Kind::list:
    case Kind::status: return true;
    default: return false;
  }
}

}  // namespace

// idle = "IDLE" CRLF "DONE"                                                    RFC 9051 §9
net::Task<void> Client::Impl::idle_once(net::Deadline until, bool& heard) {
  const auto limit = options.timeouts.command;
  const auto tag = next_tag();
  ClientTaker taker;
  taker.take = [&heard](Response& response) {
    heard |= is_news(response);
    return false;
  };
  connection->queue(tag + " IDLE\r\n");
  RELAIS_CO_TRY_VOID(co_await flush("IDLE"));
  RELAIS_CO_TRY(const auto early, co_await reply(tag, true, limit, "IDLE", taker));
  if (early) {
    if (early->status == ClientReply::Status::ok) co_return lost("IDLE", Error{Fault::closed, "garbage", "OK before DONE"});
    co_return fail(error_of("IDLE", *early));
  }
  while (!heard && !stop_idling) {
    auto response = co_await read(limit, until, net::Awaiting::command, taker);
    if (!response && !gone && response.error().code == "timeout" && std::chrono::steady_clock::now() >= until) break;
    if (!response) co_return lost("IDLE", response.error());
    if (!*response) continue;  // stop_idle()
    if ((*response)->kind == Response::Kind::bye) co_return lost("IDLE", {});
    if (!(*response)->tag.empty()) co_return lost("IDLE", Error{Fault::closed, "garbage", "an answer before DONE"});
    co_await untagged(std::move(**response), taker);
  }
  connection->queue("DONE\r\n");
  RELAIS_CO_TRY_VOID(co_await flush("IDLE"));
  RELAIS_CO_TRY(const auto answered, co_await reply(tag, false, limit, "IDLE", taker));
  if (answered->status != ClientReply::Status::ok) co_return fail(error_of("IDLE", *answered));
  co_return Result<void>{};
}

net::Task<void> Client::idle(net::Deadline deadline) {
  if (!has("IDLE") && !has("IMAP4REV2")) co_return fail(Fault::refused, "the server has no IDLE", "CANNOT");
  if (impl_->gone) co_return fail(Fault::closed, "the connection is gone", "", "IDLE");
  const ClientBusy running(*impl_);
  const struct Idling {
    explicit Idling(Impl& impl) : session(impl) {
      session.idling = true;
      session.stop_idling = false;
    }
    ~Idling() { session.idling = false; }
    Impl& session;
  } idling(*impl_);
  bool heard = false;
  while (!heard && !impl_->stop_idling && std::chrono::steady_clock::now() < deadline) {
    RELAIS_CO_TRY_VOID(co_await impl_->idle_once(std::min(deadline, net::in(kRenewed)), heard));
  }
  co_return Result<void>{};
}

void Client::stop_idle() noexcept {
  if (!impl_->idling || !impl_->connection) return;
  impl_->stop_idling = true;
  impl_->connection->signal();
}

}  // namespace relais::imap
