// Plays a server's side of a dialogue from a script.
#include "smtp/client/test_support.h"

#include "base/ascii.h"

#include <chrono>
#include <optional>
#include <sstream>

namespace relais::smtp::testing {
namespace {

int hex(char c) { return ascii_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10; }

std::string unescape(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out.push_back(line[i]);
      continue;
    }
    if (++i == line.size()) return out;
    if (line[i] == 'x') {
      out.push_back(static_cast<char>(hex(line[i + 1]) * 16 + hex(line[i + 2])));
      i += 2;
    } else {
      out.push_back(line[i] == 'r' ? '\r' : line[i] == 'n' ? '\n' : line[i]);
    }
  }
  return out + "\r\n";
}

}  // namespace

/// One connection.
class ScriptedHost::Player {
 public:
  Player(ScriptedHost& host, std::unique_ptr<net::Connection> connection) : host_(host), connection_(std::move(connection)) {}

  /// @return what went wrong
  net::asio::awaitable<std::string> run(std::string script) {
    std::istringstream lines(script);
    for (std::string line; std::getline(lines, line);) {
      line = line.substr(std::min(line.find_first_not_of(' '), line.size()));
      if (line.empty() || line.front() == '#') continue;
      if (line == "CLOSE") break;
      if (line.starts_with("S:")) {
        queued_ += unescape(line.size() > 3 ? std::string_view(line).substr(3) : std::string_view{});
        continue;
      }
      if (!co_await send()) co_return "the client went before: " + line;
      if (line == "HANG") {
        while (co_await connection_->fill(net::in(net::kSoon), net::Awaiting::data)) connection_->consume(connection_->buffered().size());
        co_return "";
      }
      const auto wrong = line == "TLS"    ? co_await start_tls()
                         : line == "DATA" ? co_await read_content()
                                          : co_await expect(line.size() > 3 ? line.substr(3) : "");
      if (!wrong.empty()) co_return wrong;
    }
    co_await send();
    co_return "";
  }

 private:
  net::asio::awaitable<bool> send() {
    const auto text = std::exchange(queued_, {});
    if (!host_.octets_) {
      connection_->queue(text);
      co_return (co_await connection_->flush(net::in(net::kSoon))).has_value();
    }
    for (const char c : text) {
      connection_->queue({&c, 1});
      if (!co_await connection_->flush(net::in(net::kSoon))) co_return false;
    }
    co_return true;
  }

  net::asio::awaitable<bool> more() { co_return (co_await connection_->fill(net::in(net::kSoon), net::Awaiting::data)).has_value(); }

  net::asio::awaitable<std::string> start_tls() {
    // The client's reason is what tests look at.
    static_cast<void>(co_await connection_->start_tls(*host_.tls_, net::in(net::kSoon)));
    co_return "";
  }

  net::asio::awaitable<std::string> expect(std::string expected) {
    while (connection_->buffered().find("\r\n") == std::string_view::npos) {
      if (!co_await more())
        co_return "expected \"" + expected + "\", got the end behind \"" + std::string(connection_->buffered()) + "\"\n";
    }
    const auto end = connection_->buffered().find("\r\n");
    const std::string line(connection_->buffered().substr(0, end));
    connection_->consume(end + 2);
    if (istarts_with(line, "BDAT ")) chunk_ = parse_u64(line.substr(5, line.find(' ', 5) - 5));
    const bool fits = expected.ends_with('*') ? line.starts_with(expected.substr(0, expected.size() - 1)) : line == expected;
    co_return fits ? "" : "expected \"" + expected + "\", got \"" + line + "\"\n";
  }

  net::asio::awaitable<std::string> read_content() {
    std::string content;
    const auto complete = [&] { return chunk_ ? content.size() == *chunk_ : content == ".\r\n" || content.ends_with("\r\n.\r\n"); };
    while (!complete()) {
      if (connection_->buffered().empty() && !co_await more()) co_return "the content has no end";
      auto piece = connection_->buffered();
      if (chunk_) {
        piece = piece.substr(0, *chunk_ - content.size());
      } else {
        // Up to the next line end, so that nothing behind the final dot is taken.
        const auto lf = piece.find('\n');
        piece = piece.substr(0, lf == std::string_view::npos ? lf : lf + 1);
      }
      content += piece;
      connection_->consume(piece.size());
    }
    chunk_.reset();
    const std::lock_guard lock(host_.mutex_);
    host_.contents_.push_back(std::move(content));
    co_return "";
  }

  ScriptedHost& host_;
  std::unique_ptr<net::Connection> connection_;
  std::string queued_;
  std::optional<std::uint64_t> chunk_;
};

ScriptedHost::ScriptedHost(std::vector<std::string> scripts, std::shared_ptr<net::TlsContext> tls, bool octets)
    : scripts_(std::move(scripts)), tls_(std::move(tls)), octets_(octets) {
  server_ = std::make_unique<net::TestServer>([this](std::unique_ptr<net::Connection> connection) { return play(std::move(connection)); });
}

ScriptedHost::~ScriptedHost() = default;

net::asio::awaitable<void> ScriptedHost::play(std::unique_ptr<net::Connection> connection) {
  std::string script;
  {
    const std::lock_guard lock(mutex_);
    script = scripts_[std::min(begun_++, scripts_.size() - 1)];
    peers_.push_back(connection->endpoints().peer_address);
  }
  std::string wrong;
  {
    Player player(*this, std::move(connection));
    wrong = co_await player.run(std::move(script));
  }
  const std::lock_guard lock(mutex_);
  errors_ += wrong;
  ++done_;
  ended_.notify_all();
}

std::string ScriptedHost::errors(std::size_t connections) {
  std::unique_lock lock(mutex_);
  if (!ended_.wait_for(lock, net::kSoon, [&] { return done_ >= connections; })) errors_ += "fewer connections ended than expected\n";
  return errors_;
}

std::vector<std::string> ScriptedHost::contents() const {
  const std::lock_guard lock(mutex_);
  return contents_;
}

std::size_t ScriptedHost::connections() const {
  const std::lock_guard lock(mutex_);
  return begun_;
}

std::vector<std::string> ScriptedHost::peers() const {
  const std::lock_guard lock(mutex_);
  return peers_;
}

}  // namespace relais::smtp::testing
