// HTTP through Boost.Beast.
#include "admin/http_server.h"

#include "base/metrics.h"
#include "base/version.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace relais::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr auto kRequestLimit = std::chrono::seconds(30);
constexpr std::uint64_t kMaxBody = 1024 * 1024;  // octets

Response answer(const Request& request, const std::function<Result<void>()>& ready) {
  Response response{http::status::ok, request.version()};
  response.set(http::field::server, "relais/" + std::string(kVersion));
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.keep_alive(request.keep_alive());
  const auto target = std::string_view(request.target().data(), request.target().size());
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (target == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = metrics::render();
  } else if (target == "/health/live") {
    response.body() = "live\n";
  } else if (target == "/health/ready") {
    const auto state = ready();
    if (!state) response.result(http::status::service_unavailable);
    response.body() = state ? "ready\n" : state.error().text + "\n";
  } else {
    response.result(http::status::not_found);
    response.body() = "not found: there are /metrics, /health/live and /health/ready\n";
  }
  response.prepare_payload();
  if (request.method() == http::verb::head) response.body().clear();
  return response;
}

asio::awaitable<void> serve_client(tcp::socket socket, std::function<Result<void>()> ready) {
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(kMaxBody);
    stream.expires_after(kRequestLimit);
    const auto [read_error, octets_read] = co_await http::async_read(stream, buffer, parser, kAwait);
    if (read_error) co_return;
    const auto response = answer(parser.get(), ready);
    stream.expires_after(kRequestLimit);
    const auto [write_error, octets_written] = co_await http::async_write(stream, response, kAwait);
    if (write_error || !response.keep_alive()) co_return;
  }
}

}  // namespace

struct HttpServer::Impl {
  Impl(net::Loop& l, std::function<Result<void>()> r) : loop(l), acceptor(l.context()), ready(std::move(r)) {}
  net::Loop& loop;
  tcp::acceptor acceptor;
  std::function<Result<void>()> ready;

  static asio::awaitable<void> accept(std::shared_ptr<Impl> self) {
    for (;;) {
      auto [ec, socket] = co_await self->acceptor.async_accept(kAwait);
      if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) co_return;
      if (!ec) asio::co_spawn(self->loop.executor(), serve_client(std::move(socket), self->ready), asio::detached);
    }
  }
};

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { stop(); }

void HttpServer::stop() {
  impl_->loop.post([impl = impl_] {
    boost::system::error_code ignored;
    impl->acceptor.close(ignored);
  });
}

std::uint16_t HttpServer::port() const noexcept {
  boost::system::error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(net::Loop& loop, const std::string& address, std::uint16_t port, std::function<Result<void>()> ready) {
  auto impl = std::make_shared<Impl>(loop, std::move(ready));
  boost::system::error_code ec;
  const tcp::endpoint endpoint(asio::ip::make_address(address, ec), port);
  if (!ec) impl->acceptor.open(endpoint.protocol(), ec);
  if (!ec) impl->acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) impl->acceptor.bind(endpoint, ec);
  if (!ec) impl->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(Fault::temporary, "cannot listen on " + address + " port " + std::to_string(port) + ": " + ec.message());
  asio::co_spawn(loop.executor(), Impl::accept(impl), asio::detached);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace relais::admin
