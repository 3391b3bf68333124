// RETR, TOP and UIDL.
#include "base/ascii.h"
#include "base/metrics.h"
#include "pop/proto/reply.h"
#include "pop/server/session.h"

namespace relais::pop {
namespace {

constexpr std::uint64_t kPiece = 128 * 1024;  // octets of a large message in memory at one time

metrics::Counter& retrieved_counter() {
  static auto& counter = metrics::counter("relais_pop_retrieved_total", "Messages sent to POP3 clients.");
  return counter;
}
metrics::Counter& octets_counter() {
  static auto& counter = metrics::counter("relais_pop_retrieved_octets_total", "Octets of messages sent to POP3 clients.");
  return counter;
}

void append_octets_ok(std::string& out, std::uint64_t octets) {
  out += "+OK ";
  append_number(out, octets);
  out += " octets\r\n";
}

}  // namespace

net::Task<void> Session::retr(Command& command) {
  RELAIS_CO_TRY(auto* message, message_of(command));
  RELAIS_CO_TRY_VOID(co_await send_message(*message, std::nullopt));
  message->retrieved = true;
  ++retrieved_;
  retrieved_counter().add();
  octets_counter().add(message->size);
  co_return Result<void>{};
}

// RFC 1939 §7: the header, the empty line, and n lines of the body.
net::Task<void> Session::top(Command& command) {
  RELAIS_CO_TRY(const auto* message, message_of(command));
  co_return co_await send_message(*message, command.lines);
}

net::Task<void> Session::send_message(const Maildrop::Message& message, std::optional<std::uint32_t> lines) {
  RELAIS_CO_TRY(const auto* view, co_await prefetch_.content(drop_, message.uid));
  if (!view->has_content) co_return co_await send_large(message, lines);
  auto content = view->content;
  if (lines) {
    content = content.substr(0, TopCutter(*lines).take(content));
    append_ok(out(), "");
  } else {
    append_octets_ok(out(), content.size());
  }
  MessageWriter writer;
  writer.append(out(), content);
  writer.finish(out());
  if (large()) co_return co_await flush();
  co_return Result<void>{};
}

// In pieces: a message of any size takes the memory of two of them.
net::Task<void> Session::send_large(const Maildrop::Message& message, std::optional<std::uint32_t> lines) {
  auto& store = *services().store;
  TopCutter cutter(lines.value_or(0));
  MessageWriter writer;
  std::string piece;
  for (std::uint64_t at = 0; at < message.size;) {
    piece.clear();
    auto read = co_await store.read_content(drop_.account(), drop_.mailbox(), message.uid, at, kPiece, piece);
    if (read && piece.empty()) read = fail(Fault::corrupt, "message damaged", "", "message ends before its size");
    if (!read) {
      if (at == 0) co_return read;
      // The reply has begun: all that is left to say is that it does not end.
      co_return fail(Fault::closed, "message can't be read", "", read.error().detail.empty() ? read.error().text : read.error().detail);
    }
    if (at == 0) {
      if (lines) append_ok(out(), "");
      else append_octets_ok(out(), message.size);
    }
    at += piece.size();
    const auto wanted = lines ? cutter.take(piece) : piece.size();
    writer.append(out(), std::string_view(piece).substr(0, wanted));
    if (large()) RELAIS_CO_TRY_VOID(co_await flush());
    if (lines && wanted < piece.size()) break;
  }
  writer.finish(out());
  co_return Result<void>{};
}

net::Task<void> Session::uidl(Command& command) {
  if (!command.message) co_return co_await uidl_all();
  RELAIS_CO_TRY(const auto* message, message_of(command));
  const auto uids = drop_.maybe_with_uidl().intersect(NumberSet(NumberRange{message->uid, message->uid}));
  storage::FetchBatch batch;
  if (!uids.empty()) RELAIS_CO_TRY_VOID(co_await fetch_uidls(uids, message->uid, batch));
  std::string text;
  append_number(text, *command.message);
  text += ' ';
  const bool stored = !batch.messages.empty() && is_unique_id(batch.messages.front().uidl);
  if (stored) text += batch.messages.front().uidl;
  else append_unique_id(text, drop_.uid_validity(), message->uid);
  append_ok(out(), text);
  co_return Result<void>{};
}

net::Task<void> Session::fetch_uidls(const NumberSet& uids, storage::Uid first, storage::FetchBatch& batch) {
  storage::FetchRequest request;
  request.uids = &uids;
  request.first = first;
  request.fields = storage::kFetchMeta;
  co_return co_await services().store->fetch(drop_.account(), drop_.mailbox(), request, batch);
}

// Only messages that the legacy platform had may have an id of its making; those of the others are derived without a look at the storage.
net::Task<void> Session::uidl_all() {
  const auto uids = drop_.maybe_with_uidl();
  storage::FetchBatch batch;
  // The first batch before the reply begins: after that no error can be told.
  if (!uids.empty()) RELAIS_CO_TRY_VOID(co_await fetch_uidls(uids, 1, batch));
  append_ok(out(), "");
  std::size_t in_batch = 0;
  std::uint32_t number = 0;
  for (const auto& message : drop_.messages()) {
    ++number;
    while (in_batch == batch.messages.size() && batch.next != 0) {
      if (auto more = co_await fetch_uidls(uids, batch.next, batch); !more) {
        co_return fail(Fault::closed, "unique ids can't be read", "", more.error().detail);
      }
      in_batch = 0;
    }
    // A message that was removed since the login is not in the batch, and listed all the same.
    const bool there = in_batch < batch.messages.size() && batch.messages[in_batch].uid == message.uid;
    const auto stored = there ? batch.messages[in_batch++].uidl : std::string_view();
    if (message.deleted) continue;
    append_number(out(), number);
    out() += ' ';
    if (is_unique_id(stored)) out() += stored;
    else append_unique_id(out(), drop_.uid_validity(), message.uid);
    out() += "\r\n";
    if (large()) RELAIS_CO_TRY_VOID(co_await flush());
  }
  out() += ".\r\n";
  co_return Result<void>{};
}

}  // namespace relais::pop
