// STARTTLS.
#include "smtp/server/session.h"

namespace relais::smtp {

// RFC 3207 §4. Connection::start_tls discards what was pipelined behind the command (§4.2 and CVE-2011-0411); everything the client said before
// is forgotten, the hello too.
Session::Done Session::starttls(std::string_view) {
  if (encrypted()) {
    protocol_error(503, "5.5.1", "TLS is active already");
    co_return Result<void>{};
  }
  if (!context_.tls) {
    protocol_error(502, "5.5.1", "TLS is not available");
    co_return Result<void>{};
  }
  reply(220, "2.0.0", "go ahead");
  RELAIS_CO_TRY_VOID(co_await flush());
  auto done = co_await connection_->start_tls(*context_.tls, net::in(context_.options.timeouts.tls));
  if (!done) {
    log_.event(log::Level::info, "tls failed", {{"reason", done.error().text}, {"detail", done.error().detail}});
    co_return fail(Fault::closed, "TLS failed");
  }
  lines_.reset();
  helo_.clear();
  account_.reset();
  reset_transaction();
  state_ = kFresh;
  const auto* tls = connection_->tls();
  log_.event(log::Level::info, "tls", {{"version", tls->version}, {"cipher", tls->cipher}, {"sni", tls->server_name}});
  co_return Result<void>{};
}

}  // namespace relais::smtp
