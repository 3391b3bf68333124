// DATA.
#include "smtp/proto/data.h"

#include "smtp/server/session.h"

#include <algorithm>

namespace relais::smtp {

Session::Done Session::data(std::string_view) {
  if (transaction_.recipients.empty()) {
    protocol_error(context_.policy.lmtp ? 503 : 554, "5.5.1", "no valid recipients");  // RFC 5321 §3.3, RFC 2920 §3.1; RFC 2033 §4.2
    co_return Result<void>{};
  }
  if (transaction_.body == Body::binary) {
    protocol_error(503, "5.5.1", "BINARYMIME needs BDAT");  // RFC 3030 §3
    co_return Result<void>{};
  }
  reply(354, {}, "end with CRLF.CRLF");
  begin_content();
  const auto& options = context_.options;
  const auto read_limit = options.max_message_octets + options.max_discarded_octets;
  auto keep = [this](std::string_view octets) { take_content(octets); };
  for (;;) {
    const auto step = framer_.feed(connection_->buffered(), keep);
    connection_->consume(step.used);
    bad_line_end_ = !framer_.good();
    if (step.end) break;
    if (options.max_message_octets != 0 && received_ > read_limit) {
      reply(552, "5.3.4", "message too large");
      close_with("4.7.0", "message far too large");
      co_return Result<void>{};
    }
    RELAIS_CO_TRY_VOID(co_await flush());
    const auto block = net::in(options.timeouts.data_block);
    RELAIS_CO_TRY_VOID(co_await connection_->fill(std::min(block, content_deadline_), net::Awaiting::data));
  }
  co_return co_await end_content(content_verdict());
}

}  // namespace relais::smtp
