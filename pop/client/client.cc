// Commands of a POP3 session at another server.
#include "pop/client/client.h"

#include "base/ascii.h"
#include "directory/digest.h"
#include "pop/client/session.h"

#include <algorithm>
#include <charconv>

namespace relais::pop {
namespace {

constexpr std::size_t kMaxServerText = 300;  // octets of a server's words in an Error
constexpr std::size_t kMaxCode = 40;         // octets of a response code
constexpr std::size_t kPipelined = 64;       // commands in flight: what they take fits into any socket's buffer

Error failed(const Error& error, std::string_view command) {
  auto copy = error;
  copy.detail = std::string(command) + ": " + copy.detail;
  return copy;
}

char printable(char c) noexcept { return c < ' ' || c > '~' ? '?' : c; }

}  // namespace

bool is_word(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Client::Impl::Status::Status(const ServerStatus& said) : ok(said.ok), text(said.text.substr(0, kMaxServerText)) {
  if (is_word(said.code) && said.code.size() <= kMaxCode) code = said.code;
  std::ranges::transform(text, text.begin(), printable);
}

net::Task<void> Client::Impl::send(std::string line) {
  const directory::Wiper wiper(line);  // it may be a password
  connection->queue(line);
  connection->queue("\r\n");
  co_return co_await connection->flush(deadline());
}

net::Task<LineFramer::Step> Client::Impl::line() {
  for (;;) {
    const auto step = framer.feed(connection->buffered(), kMaxReplyLine);
    if (step.event == LineFramer::Event::line) co_return step;
    if (step.event != LineFramer::Event::more) co_return garbage("a line without an end");
    connection->consume(step.used);
    if (auto filled = co_await connection->fill(deadline(), net::Awaiting::data); !filled) {
      connection->close();
      co_return fail(std::move(filled).error());
    }
  }
}

std::unexpected<Error> Client::Impl::garbage(std::string_view what) {
  connection->close();
  return fail(Fault::closed, "the mail server does not speak POP3", "", what);
}

Error Client::Impl::refusal(const Status& status) {
  return {Fault::refused, to_upper(status.code), "the mail server refused", status.text};
}

net::Task<Client::Impl::Status> Client::Impl::status() {
  RELAIS_CO_TRY(const auto step, co_await line());
  const auto said = parse_status(step.line);
  if (!said) co_return garbage(said.error().text);
  Status status(*said);
  connection->consume(step.used);
  co_return status;
}

net::Task<Client::Impl::Status> Client::Impl::exchange(std::string line) {
  RELAIS_CO_TRY_VOID(co_await send(std::move(line)));
  co_return co_await status();
}

net::Task<Client::Impl::Status> Client::Impl::command(std::string line) {
  auto said = co_await exchange(line);
  if (said && !said->ok) co_return fail(failed(refusal(*said), line));
  co_return said;
}

bool Client::Impl::too_many(std::size_t& dropped, std::size_t more) {
  dropped += more;
  if (dropped <= kMaxDropped) return false;
  connection->close();
  given_up = true;
  return true;
}

net::Task<void> Client::Impl::lines(Line each) {
  Result<void> result;
  std::size_t dropped = 0;
  for (;;) {
    RELAIS_CO_TRY(const auto step, co_await line());
    if (step.line == ".") {
      connection->consume(step.used);
      co_return result;
    }
    if (result) result = each(step.line.starts_with('.') ? step.line.substr(1) : step.line);
    if (!result && too_many(dropped, step.line.size() + 2)) co_return result;
    connection->consume(step.used);
  }
}

net::Task<void> Client::Impl::body(Piece each) {
  BodyReader reader;
  Result<void> result;
  std::size_t dropped = 0;
  for (;;) {
    while (!connection->buffered().empty()) {
      const auto step = reader.feed(connection->buffered());
      if (result && !step.octets.empty()) result = co_await each(step.octets);
      connection->consume(step.used);
      if (step.done) co_return result;
      if (!result && too_many(dropped, step.used)) co_return result;
    }
    if (auto filled = co_await connection->fill(deadline(), net::Awaiting::data); !filled) {
      connection->close();
      co_return fail(std::move(filled).error());
    }
  }
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

bool Client::has(std::string_view capability) const noexcept {
  return std::ranges::find(impl_->capabilities, capability) != impl_->capabilities.end();
}

// RFC 1939 §5 LIST, §7 UIDL. The two lists need not have the same order, nor the same messages.
net::Task<std::vector<DropEntry>> Client::drop() {
  std::vector<DropEntry> entries;
  const auto bounded = [](std::size_t count) -> Result<void> {
    if (count < kMaxMessages) return {};
    return fail(Fault::refused, "too many messages", "LIMIT");
  };
  RELAIS_CO_TRY_VOID(co_await impl_->command("LIST"));
  RELAIS_CO_TRY_VOID(co_await impl_->lines([&](std::string_view line) -> Result<void> {
    RELAIS_TRY_VOID(bounded(entries.size()));
    RELAIS_TRY(const auto listing, parse_listing(line));
    DropEntry entry{.number = listing.number};
    const auto [end, wrong] = std::from_chars(listing.value.data(), listing.value.data() + listing.value.size(), entry.octets);
    if (wrong != std::errc{}) return fail(Fault::syntax, "LIST without a size");
    entries.push_back(std::move(entry));
    return {};
  }));
  std::ranges::sort(entries, {}, &DropEntry::number);
  const auto said = co_await impl_->command("UIDL");
  if (!said) {
    if (said.error().fault == Fault::refused) co_return entries;  // an optional command
    co_return fail(said.error());
  }
  RELAIS_CO_TRY_VOID(co_await impl_->lines([&](std::string_view line) -> Result<void> {
    RELAIS_TRY(const auto listing, parse_listing(line));
    if (listing.value.size() > kMaxUidl) return fail(Fault::syntax, "UIDL with too long an id");
    const auto at = std::ranges::lower_bound(entries, listing.number, {}, &DropEntry::number);
    if (at != entries.end() && at->number == listing.number) at->uidl = listing.value;
    return {};
  }));
  co_return entries;
}

net::Task<std::string> Client::header(std::uint32_t number) {
  std::string header;
  RELAIS_CO_TRY_VOID(co_await headers({number}, [&header](std::uint32_t, std::string_view octets) -> Result<void> {
    header = octets;
    return {};
  }));
  co_return header;
}

// RFC 1939 §7 TOP, RFC 2449 §6.6 PIPELINING
net::Task<void> Client::headers(std::vector<std::uint32_t> numbers,
                                std::function<Result<void>(std::uint32_t number, std::string_view header)> found) {
  auto& self = *impl_;
  const std::size_t window = has("PIPELINING") ? kPipelined : 1;
  Result<void> result;
  for (std::size_t first = 0; first < numbers.size() && result; first += window) {
    const auto last = std::min(first + window, numbers.size());
    for (auto i = first; i < last; ++i) self.connection->queue("TOP " + std::to_string(numbers[i]) + " 0\r\n");
    RELAIS_CO_TRY_VOID(co_await self.connection->flush(self.deadline()));
    for (auto i = first; i < last; ++i) {
      RELAIS_CO_TRY(const auto said, co_await self.status());
      if (!said.ok) {
        if (result) result = fail(failed(Impl::refusal(said), "TOP"));
        continue;
      }
      std::string header;
      auto read = co_await self.body([&](std::string_view piece) -> net::Task<void> {
        if (header.size() + piece.size() > kMaxHeader) co_return fail(Fault::refused, "header is too large", "LIMIT");
        header += piece;
        co_return Result<void>{};
      });
      if (!read && read.error().fault == Fault::closed) co_return read;
      if (read && result) read = found(numbers[i], header);
      if (!read && result) result = std::move(read);
      if (self.given_up) co_return result;
    }
  }
  co_return result;
}

net::Task<void> Client::retrieve(std::uint32_t number, std::function<net::Task<void>(std::string_view piece)> octets) {
  RELAIS_CO_TRY_VOID(co_await impl_->command("RETR " + std::to_string(number)));
  co_return co_await impl_->body(std::move(octets));
}

net::Task<void> Client::erase(std::uint32_t number) {
  RELAIS_CO_TRY_VOID(co_await impl_->command("DELE " + std::to_string(number)));
  co_return Result<void>{};
}

net::Task<void> Client::noop() {
  RELAIS_CO_TRY_VOID(co_await impl_->command("NOOP"));
  co_return Result<void>{};
}

// RFC 1939 §6: -ERR says that some messages were not removed.
net::Task<void> Client::quit() {
  impl_->until = net::in(impl_->options.quit_limit);
  const auto said = co_await impl_->command("QUIT");
  impl_->connection->close();
  if (!said) co_return fail(said.error());
  co_return Result<void>{};
}

void Client::close() noexcept { impl_->connection->close(); }

std::unique_ptr<net::Connection> Client::release() { return std::move(impl_->connection); }

}  // namespace relais::pop
