// BDAT: RFC 3030.
#include "smtp/proto/bdat.h"

#include "smtp/server/session.h"

#include <algorithm>

namespace relais::smtp {

Session::Done Session::bdat(std::string_view rest) {
  const auto args = parse_bdat(rest);
  if (!args) {
    // How much follows is not known: going on would take content for commands.
    protocol_error(args.error());
    close_with("4.7.0", "BDAT without a size");
    co_return Result<void>{};
  }
  if (chunk_refused_) {
    RELAIS_CO_TRY_VOID(co_await skip_chunk(args->size));
    if (closing_) co_return Result<void>{};
    auto verdict = *chunk_refused_;
    if (args->last) co_return co_await end_content(std::move(verdict));
    reply(verdict);
    co_return Result<void>{};
  }
  if (transaction_.recipients.empty() || (state_ != kRcpt && state_ != kChunks)) {
    // RFC 3030 §2: the chunk is taken and dropped even so.
    RELAIS_CO_TRY_VOID(co_await skip_chunk(args->size));
    if (!closing_) {
      const bool refused = state_ == kMail;
      protocol_error(refused && !context_.policy.lmtp ? 554 : 503, "5.5.1",
                     refused ? "no valid recipients" : "MAIL and RCPT first");  // as DATA
    }
    co_return Result<void>{};
  }
  if (state_ == kRcpt) begin_content();
  state_ = kChunks;
  RELAIS_CO_TRY(const bool complete, co_await read_chunk(args->size));
  if (!complete) co_return Result<void>{};
  if (args->last) {
    line_ends_.finish();
    if (transaction_.body != Body::binary) bad_line_end_ = !line_ends_.good();
    co_return co_await end_content(content_verdict());
  }
  // A refusal now spares the client the rest; the message is lost, whatever comes (RFC 3030 §2).
  chunk_refused_ = content_verdict();
  if (chunk_refused_) {
    reply(*chunk_refused_);
    co_return Result<void>{};
  }
  std::string text;
  text.append(std::to_string(args->size)).append(" octets received");
  reply(250, "2.0.0", text);
  co_return Result<void>{};
}

// Takes a chunk. @return false where the client was given up
net::Task<bool> Session::read_chunk(std::uint64_t octets) {
  const auto& options = context_.options;
  const auto limit = options.max_message_octets;
  if (limit != 0 && octets > limit + options.max_discarded_octets - std::min(received_, limit)) {
    reply(552, "5.3.4", "message too large");
    close_with("4.7.0", "message far too large");
    co_return false;
  }
  const bool check = transaction_.body != Body::binary;
  for (std::uint64_t left = octets; left > 0;) {
    const auto piece =
        connection_->buffered().substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, connection_->buffered().size())));
    if (piece.empty()) {
      RELAIS_CO_TRY_VOID(co_await flush());
      const auto block = net::in(options.timeouts.data_block);
      RELAIS_CO_TRY_VOID(co_await connection_->fill(std::min(block, content_deadline_), net::Awaiting::data));
      continue;
    }
    if (check) {
      line_ends_.feed(piece);
      bad_line_end_ = !line_ends_.good();
    }
    take_content(piece);
    left -= piece.size();
    connection_->consume(piece.size());
  }
  co_return true;
}

Session::Done Session::skip_chunk(std::uint64_t octets) {
  const auto& options = context_.options;
  if (octets > options.max_message_octets + options.max_discarded_octets) {
    close_with("4.7.0", "message far too large");
    co_return Result<void>{};
  }
  const auto deadline = net::in(options.timeouts.data_total);
  while (octets > 0) {
    const auto here = std::min<std::uint64_t>(octets, connection_->buffered().size());
    if (here == 0) {
      RELAIS_CO_TRY_VOID(co_await flush());
      RELAIS_CO_TRY_VOID(co_await connection_->fill(std::min(net::in(options.timeouts.data_block), deadline), net::Awaiting::data));
      continue;
    }
    connection_->consume(static_cast<std::size_t>(here));
    octets -= here;
  }
  co_return Result<void>{};
}

}  // namespace relais::smtp
