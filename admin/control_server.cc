// The platform's end of the local socket.
#include "admin/control.h"

#include "admin/socket_path.h"
#include "base/log.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <sys/stat.h>

namespace relais::admin {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxRequest = 16 * 1024 * 1024;  // octets: 200 rows of an import are far below

json error_json(const Error& error) {
  return {{"error", {{"fault", to_string(error.fault)}, {"text", error.text}, {"detail", error.detail}}}};
}

asio::awaitable<std::string> answer(Backend& backend, std::string line) {
  const auto message = json::parse(line, nullptr, false);
  if (!message.is_object() || !message.contains("operation") || !message["operation"].is_string()) {
    co_return error_json(Error{Fault::syntax, "", "a request is an object with 'operation' and 'request'", ""}).dump();
  }
  const auto operation = message["operation"].get<std::string>();
  const auto result = co_await run_operation(backend, operation, message.value("request", json::object()));
  log::event(log::Level::info, "admin", {{"operation", operation}, {"ok", result.has_value()}});
  co_return result ? json{{"result", *result}}.dump(-1, ' ', false, json::error_handler_t::replace) : error_json(result.error()).dump();
}

asio::awaitable<void> serve_client(Protocol::socket socket, Backend& backend) {
  std::string buffer;
  for (;;) {
    const auto [ec, n] = co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer, kMaxRequest), '\n', kAwait);
    if (ec) co_return;
    auto line = buffer.substr(0, n);
    buffer.erase(0, n);
    auto reply = co_await answer(backend, std::move(line));
    reply += '\n';
    const auto [write_error, written] = co_await asio::async_write(socket, asio::buffer(reply), kAwait);
    if (write_error) co_return;
  }
}

}  // namespace

struct ControlServer::Impl {
  Impl(net::Loop& l, Backend& b) : loop(l), backend(b), acceptor(l.context()) {}
  net::Loop& loop;
  Backend& backend;
  Protocol::acceptor acceptor;

  static asio::awaitable<void> accept(std::shared_ptr<Impl> self) {
    for (;;) {
      auto [ec, socket] = co_await self->acceptor.async_accept(kAwait);
      if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) co_return;
      if (!ec) asio::co_spawn(self->loop.executor(), serve_client(std::move(socket), self->backend), asio::detached);
    }
  }
};

ControlServer::ControlServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() { stop(); }

void ControlServer::stop() {
  impl_->loop.post([impl = impl_] {
    boost::system::error_code ignored;
    impl->acceptor.close(ignored);
  });
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(net::Loop& loop, const std::filesystem::path& socket, Backend& backend) {
  auto impl = std::make_shared<Impl>(loop, backend);
  ::unlink(socket.c_str());  // left by a killed process; the lock file says that none lives
  boost::system::error_code ec;
  const SocketPath path(socket);
  impl->acceptor.open(Protocol(), ec);
  const auto old_mask = ::umask(0177);
  if (!ec) impl->acceptor.bind(Protocol::endpoint(path.text()), ec);
  ::umask(old_mask);
  if (!ec) impl->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(Fault::temporary, "cannot listen on " + socket.string() + ": " + ec.message());
  asio::co_spawn(loop.executor(), Impl::accept(impl), asio::detached);
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

}  // namespace relais::admin
