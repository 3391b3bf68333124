// APPEND: takes the messages as they come, and stores all of them or none.
#include "imap/server/append.h"

#include "base/spool.h"
#include "imap/proto/append.h"
#include "imap/proto/write.h"

#include <cstring>

namespace relais::imap {
namespace {

// A message must come at 1 KB/s at least, after a pause that a modem may need.
constexpr auto kMessagePause = std::chrono::minutes(5);
constexpr std::uint64_t kSlowestOctetsPerSecond = 1'024;

// One APPEND in progress.
struct Appending {
  std::string mailbox;
  std::vector<storage::AppendMessage> messages;
  std::uint64_t octets = 0;
};

// Whether the announced message may come. Answered before the client sends it where the literal is a synchronizing one.
net::Task<void> admit(Session& session, const Appending& appending) {
  const auto& options = session.server().options();
  const auto& literal = session.framer().literal();
  // RFC 3502 §6.3.11: a message without octets is an error; clients use it to give up.
  if (literal.size == 0) co_return fail(Fault::refused, "an empty message can't be appended");
  if (literal.size > options.append_limit) co_return fail(Fault::refused, "the message is too large", "TOOBIG");  // RFC 7889 §4
  if (appending.octets + literal.size > options.append_total || appending.messages.size() >= options.append_messages) {
    co_return fail(Fault::refused, "too much for one APPEND", "LIMIT");
  }
  if (literal.sync && appending.messages.empty()) {
    auto info = co_await session.store().status(session.account(), appending.mailbox);
    if (!info && info.error().code == "NONEXISTENT") co_return fail(Fault::refused, "no such mailbox", "TRYCREATE");
    if (!info) co_return fail(std::move(info).error());
    RELAIS_CO_TRY_VOID(session.store().writable(session.account().shard));
  }
  co_return Result<void>{};
}

struct Taken {
  bool has_nul = false;
  std::optional<Error> failure{};  // of the spool; the octets were read all the same
};

// Reads the message's octets into the spool.
net::Task<Taken> take_message(Session& session, std::uint64_t size, Spool& spool) {
  auto& connection = session.connection();
  const auto deadline = net::in(kMessagePause + std::chrono::seconds(size / kSlowestOctetsPerSecond));
  Taken taken;
  for (auto left = size; left > 0;) {
    const auto here = connection.buffered().substr(0, static_cast<std::size_t>(left));
    if (here.empty()) {
      if (!session.out().empty()) RELAIS_CO_TRY_VOID(co_await session.flush());
      RELAIS_CO_TRY_VOID(co_await connection.fill(deadline, net::Awaiting::data));
      continue;
    }
    taken.has_nul = taken.has_nul || std::memchr(here.data(), 0, here.size()) != nullptr;
    if (!taken.failure) {
      if (auto kept = spool.append(here); !kept) taken.failure = std::move(kept).error();
    }
    left -= here.size();
    connection.consume(here.size());
  }
  session.count_input(static_cast<std::size_t>(size));
  co_return taken;
}

net::Task<void> take(Session& session, const AppendMessage& announced, Appending& appending) {
  const auto literal = session.framer().literal();
  if (literal.sync) session.out() += "+ OK\r\n";
  Spool spool(session.server().options().spool_directory);
  RELAIS_CO_TRY(auto taken, co_await take_message(session, literal.size, spool));
  session.framer().message_taken();
  // RFC 9051 §4.3: NUL may come in a literal8 alone.
  if (taken.has_nul && !literal.binary) co_return fail(Fault::syntax, "NUL in a literal that is none of binary data");
  if (taken.failure) co_return fail(std::move(*taken.failure));
  RELAIS_CO_TRY(const auto octets, spool.view());
  storage::AppendMessage message;
  RELAIS_CO_TRY(message.message, co_await session.store().prepare(octets));
  message.system_flags = announced.flags.system;
  message.keywords = announced.flags.keywords;
  if (announced.date) {
    message.internal_date = announced.date->seconds != 0 ? announced.date->seconds : 1;  // 0 means now
    message.internal_zone = announced.date->zone_minutes;
  }
  appending.messages.push_back(std::move(message));
  appending.octets += octets.size();
  co_return Result<void>{};
}

// Takes all messages. Returns when the command has been read to its end, whatever came of it.
net::Task<void> take_all(Session& session, AppendMessage announced, Appending& appending) {
  std::optional<Error> refusal;
  for (;;) {
    if (!refusal) {
      if (auto admitted = co_await admit(session, appending); !admitted) refusal = std::move(admitted).error();
    }
    if (refusal) co_return fail(co_await session.refuse_message(std::move(*refusal)));
    if (auto taken = co_await take(session, announced, appending); !taken) {
      if (taken.error().fault == Fault::closed) co_return taken;
      refusal = std::move(taken).error();  // the rest of the command is still to come
    }
    RELAIS_CO_TRY(const auto event, co_await session.next_event(session.deadline()));
    if (event == Framer::Event::refused) co_return fail(refusal ? *refusal : session.framer().error());
    auto next = parse_append_next(session.framer().text(), announced.utf8, session.dialect());
    if (!next && !refusal) refusal = std::move(next).error();
    if (event == Framer::Event::command) {
      if (refusal) co_return fail(std::move(*refusal));
      co_return Result<void>{};
    }
    if (!refusal) announced = std::move(**next);
  }
}

}  // namespace

net::Task<Done> append(Session& session, const Tagged& command) {
  auto start = parse_append(command.rest, session.dialect());
  if (!start) {
    if (session.message_announced()) co_return fail(co_await session.refuse_message(std::move(start).error()));
    co_return fail(std::move(start).error());
  }
  Appending appending;
  auto name = session.stored_name(std::move(start->mailbox));
  if (!name) co_return fail(co_await session.refuse_message(std::move(name).error()));
  appending.mailbox = std::move(*name);
  RELAIS_CO_TRY_VOID(co_await take_all(session, std::move(start->message), appending));
  RELAIS_CO_TRY(const auto stored,
                co_await session.store().append(session.account(), std::move(appending.mailbox), std::move(appending.messages),
                                                /*create_missing=*/false, /*once=*/{}));
  NumberSet uids;
  for (const auto uid : stored.uids) uids.add(uid);
  Done done;
  append_appenduid(done.text, stored.uid_validity, uids);
  done.text += "APPEND completed";
  co_return done;
}

}  // namespace relais::imap
