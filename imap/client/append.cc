// APPEND: messages that go out, piece by piece.
#include "imap/client/session.h"
#include "imap/proto/write.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace relais::imap {
namespace {

// A literal that is not waited for is sent even where it will be refused: so only small ones are.
constexpr std::uint64_t kMaxUnasked = 64 * 1024;
constexpr std::size_t kSlice = 64 * 1024;  // octets of a message that a server must take within the limit for writing

// append-message = [SP flag-list] [SP date-time] SP append-data                RFC 9051 §9
void append_arguments(ClientCommand& out, const Client::AppendPiece& message) {
  if (!message.flags.empty()) {
    out.text(" (");
    for (std::size_t i = 0; i < message.flags.size(); ++i) out.text(i == 0 ? "" : " ").text(message.flags[i]);
    out.text(")");
  }
  if (message.date) {
    std::string date = " ";
    append_date_time(date, *message.date);
    out.text(date);
  }
  out.text(" ");
  using Literals = ClientCommand::Literals;
  const auto most = out.literals() == Literals::plus ? kMaxUnasked : out.literals() == Literals::minus ? ClientCommand::kMaxMinus : 0;
  out.announce(message.size, message.size > most || most == 0, message.binary);
}

}  // namespace

net::Task<void> Client::Impl::send_content(AppendPiece& message) {
  auto left = message.size;
  while (left > 0) {
    auto piece = co_await message.read();
    if (piece && !piece->empty() && piece->size() <= left) {
      left -= piece->size();
      for (auto rest = *piece; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kSlice))) {
        const std::array<std::string_view, 1> slice{rest.substr(0, kSlice)};
        auto sent = co_await connection->write(slice, by(options.timeouts.write));
        if (!sent) co_return lost("APPEND", sent.error());
      }
      continue;
    }
    // The server waits for octets that nobody has: it can only be left.
    gone = true;
    connection->close();
    if (!piece) co_return fail(std::move(piece).error());
    co_return fail(Fault::corrupt, "a message is not as long as it was said to be");
  }
  co_return Result<void>{};
}

// append = "APPEND" SP mailbox 1*append-message                                RFC 3502 §6.3.11
net::Task<ClientReply> Client::Impl::append(const std::string& wire_name, std::span<AppendPiece> messages) {
  if (gone) co_return fail(Fault::closed, "the connection is gone", "", "APPEND");
  const ClientBusy running(*this);
  const auto tag = next_tag();
  const auto limit = options.timeouts.command;
  ClientTaker nobody;
  for (auto& message : messages) {
    auto text = command();
    if (&message == messages.data()) text.text(tag + " APPEND ").string(wire_name);
    append_arguments(text, message);
    RELAIS_CO_TRY(auto early, co_await send("APPEND", tag, text, limit, nobody));
    if (early) co_return std::move(*early);
    RELAIS_CO_TRY_VOID(co_await send_content(message));
  }
  connection->queue("\r\n");
  RELAIS_CO_TRY_VOID(co_await flush("APPEND"));
  RELAIS_CO_TRY(auto answered, co_await reply(tag, false, limit, "APPEND", nobody));
  co_return std::move(*answered);
}

net::Task<Client::Appended> Client::append(std::string wire_name, std::vector<AppendPiece> messages) {
  if (wire_name.contains('\0')) co_return fail(Fault::refused, "octets that IMAP cannot carry", "CANNOT", "APPEND");
  Appended done;
  const auto step = has("MULTIAPPEND") ? std::max<std::size_t>(messages.size(), 1) : 1;
  for (std::size_t i = 0; i < messages.size(); i += step) {
    RELAIS_CO_TRY(const auto answered, co_await impl_->append(wire_name, std::span(messages).subspan(i, step)));
    if (answered.status != ClientReply::Status::ok) co_return fail(error_of("APPEND", answered));
    // resp-code-apnd = "APPENDUID" SP nz-number SP append-uid                    RFC 9051 §9
    if (!answered.text.code || answered.text.code->name != "APPENDUID") continue;
    const std::string_view arguments = answered.text.code->arguments;
    const auto space = std::min(arguments.find(' '), arguments.size());
    const auto validity = NumberSet::parse(arguments.substr(0, space));
    const auto uids = NumberSet::parse(arguments.substr(std::min(space + 1, arguments.size())));
    if (!validity || validity->count() != 1 || !uids) continue;
    done.uid_validity = validity->front();
    done.uids.add(*uids);
  }
  co_return done;
}

}  // namespace relais::imap
