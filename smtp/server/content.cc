// What DATA and BDAT share: keeping the content within bounds, and the verdict on it.
#include "smtp/server/session.h"

namespace relais::smtp {

void Session::begin_content() {
  spool_.clear();
  framer_.reset();
  line_ends_ = {};
  received_ = 0;
  too_large_ = false;
  bad_line_end_ = false;
  spool_error_.reset();
  content_deadline_ = net::in(context_.options.timeouts.data_total);
}

// A message that will be refused is read on, so that the reply can be given, but not kept.
void Session::take_content(std::string_view octets) {
  received_ += octets.size();
  const auto limit = context_.options.max_message_octets;
  if (limit != 0 && received_ > limit) too_large_ = true;
  if (too_large_ || bad_line_end_ || spool_error_) {
    if (spool_.size() != 0) spool_.clear();
    return;
  }
  if (auto kept = spool_.append(octets); !kept) {
    log_.event(log::Level::error, "spool failed", {{"detail", kept.error().detail}});
    spool_error_ = std::move(kept).error();
  }
}

std::optional<Reply> Session::content_verdict() const {
  // RFC 1870 §6.3; the size goes first: what was thrown away was not looked at in full.
  if (too_large_) return Reply{552, "5.3.4", "message too large"};
  if (bad_line_end_) return Reply{550, "5.5.2", std::string(kBareLineEnd)};
  if (spool_error_) return Reply{452, "4.3.1", "not enough storage, try again later"};
  return std::nullopt;
}

// The content is complete: accepts the message, or gives the verdict's reply, once or per recipient (RFC 2033 §4.2).
Session::Done Session::end_content(std::optional<Reply> verdict) {
  if (!verdict) {
    RELAIS_CO_TRY_VOID(co_await accept_message());
  } else {
    log_.event(log::Level::info, "rejected", {{"id", transaction_.id}, {"from", transaction_.sender}, {"recipients", transaction_.recipients.size()},
                                              {"size", received_}, {"code", verdict->code}, {"status", verdict->enhanced}, {"text", verdict->text}});
    TraceEvent event{.id = transaction_.id, .kind = TraceKind::refused, .from = transaction_.sender};
    for (const auto& recipient : transaction_.recipients) event.to.push_back(recipient.address);
    event.host = client_name();
    event.reply = reply_text(*verdict);
    event.size = received_;
    context_.platform.trace.add(std::move(event));
    const auto replies = context_.policy.lmtp ? transaction_.recipients.size() : 1;
    for (std::size_t i = 0; i < replies; ++i) reply(*verdict);
  }
  reset_transaction();
  co_return Result<void>{};
}

}  // namespace relais::smtp
