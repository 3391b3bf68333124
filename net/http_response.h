// What a web server answers: a pure, incremental parser of one HTTP/1.1 response.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::net {

struct HttpResponse {
  int status = 0;            ///< 200, 404, …
  std::string content_type;  ///< lower case, without parameters: "text/plain"; empty where there is none
  std::string body;          ///< octets
};

/// Takes the octets of one response in pieces of any size. Content-Length, chunked, and bodies that last to the end of the connection;
/// interim responses (1xx) are passed over. The same answer however the octets are cut. Memory: at most the limits below. Source: RFC 9112
/// §2 to §7.
class HttpResponseParser {
 public:
  static constexpr std::size_t kMaxHeader = 32 * 1024;  ///< octets of status line and fields, interim responses and trailers included

  /// @param max_body octets of body beyond which it is refused
  explicit HttpResponseParser(std::size_t max_body) : max_body_(max_body) {}
  /// @return true once the response is whole: what is left of the octets is not looked at.
  /// Errors: Fault::syntax (no HTTP), Fault::refused code "size" (too large).
  Result<bool> feed(std::string_view octets);
  /// The connection has ended. Fault::closed where the response is not whole.
  Result<void> end();
  HttpResponse& response() noexcept { return response_; }

 private:
  enum class State : std::uint8_t { status, fields, length, chunk_size, chunk, chunk_end, trailers, to_end, done };
  Result<void> take_line(std::string_view line);
  Result<void> take_status(std::string_view line);
  Result<void> take_field(std::string_view line);
  Result<void> begin_body();
  Result<void> take_chunk_size(std::string_view line);

  State state_ = State::status;
  std::string line_;
  std::size_t header_octets_ = 0;
  std::size_t max_body_;
  std::uint64_t left_ = 0;
  bool has_length_ = false;
  bool chunked_ = false;
  HttpResponse response_;
};

}  // namespace relais::net
