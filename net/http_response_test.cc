// HTTP responses: each in one piece, octet by octet, and cut short.
#include "net/http_response.h"

#include <gtest/gtest.h>

namespace relais::net {
namespace {

constexpr std::size_t kMaxBody = 20;

struct Outcome {
  bool whole = false;
  std::string error;
  HttpResponse response;
};

Outcome parse(std::string_view octets, std::size_t piece, bool ends) {
  HttpResponseParser parser(kMaxBody);
  Outcome out;
  for (std::size_t at = 0; at < octets.size() && !out.whole; at += piece) {
    auto fed = parser.feed(octets.substr(at, piece));
    if (!fed) {
      out.error = std::string(to_string(fed.error().fault)) + fed.error().code;
      return out;
    }
    out.whole = *fed;
  }
  if (!out.whole && ends) {
    if (auto ended = parser.end(); !ended)
      out.error = to_string(ended.error().fault);
    else
      out.whole = true;
  }
  out.response = parser.response();
  return out;
}

TEST(HttpResponse, Accepted) {
  const struct {
    const char* name;
    std::string octets;
    int status;
    const char* type;
    const char* body;
    bool by_end = false;
  } cases[] = {
      {"length", "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello", 200, "text/plain",
       "hello"},
      {"no reason phrase", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, "", ""},
      {"bare LF", "HTTP/1.0 200 OK\nContent-Length: 2\n\nhi", 200, "", "hi"},
      {"to the end", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "", "hello", true},
      {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200,
       "", "abc0123456789"},
      {"interim", "HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", 201, "", "x"},
      {"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 204, "", ""},
      {"redirect is an answer", "HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n", 301, "", ""},
      {"same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, "", "x"},
      {"exactly as much as allowed", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789", 200, "", "01234567890123456789"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    for (const std::size_t piece : {c.octets.size(), std::size_t{1}, std::size_t{3}}) {
      const auto out = parse(c.octets, piece, c.by_end);
      EXPECT_TRUE(out.whole) << out.error;
      EXPECT_EQ(out.response.status, c.status);
      EXPECT_EQ(out.response.content_type, c.type);
      EXPECT_EQ(out.response.body, c.body);
    }
    if (c.by_end) continue;
    for (std::size_t size = 0; size < c.octets.size(); ++size) EXPECT_FALSE(parse(c.octets.substr(0, size), 1, true).whole) << size;
  }
}

TEST(HttpResponse, Refused) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const struct {
    const char* name;
    std::string octets;
    const char* error;
  } cases[] = {
      {"not HTTP", "220 mail.example.net ESMTP\r\n", "syntax"},
      {"HTTP/2 in clothes of 1", "HTTP/2 200 OK\r\n", "syntax"},
      {"status of two digits", "HTTP/1.1 20 OK\r\n", "syntax"},
      {"status 999", "HTTP/1.1 999 OK\r\n", "syntax"},
      {"change of protocol", "HTTP/1.1 101 Switching\r\n\r\n", "syntax"},
      {"field without colon", ok + "nonsense\r\n", "syntax"},
      {"folded field", ok + "A: b\r\n c\r\n", "syntax"},
      {"space before the colon", ok + "Content-Length : 1\r\n", "syntax"},
      {"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n", "syntax"},
      {"negative length", ok + "Content-Length: -1\r\n", "syntax"},
      {"length and chunks", ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "syntax"},
      {"another coding", ok + "Transfer-Encoding: gzip, chunked\r\n", "syntax"},
      {"chunk size", ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "syntax"},
      {"empty chunk size", ok + "Transfer-Encoding: chunked\r\n\r\n\r\n", "syntax"},
      {"chunk too long for its size", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "syntax"},
      {"chunk size that overflows", ok + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", "syntax"},
      {"large by length", ok + "Content-Length: 21\r\n\r\n", "refusedsize"},
      {"large by chunks", ok + "Transfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n1\r\nx", "refusedsize"},
      {"huge chunk", ok + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", "refusedsize"},
      {"large to the end", ok + "\r\n012345678901234567890", "refusedsize"},
      {"endless line", ok + "A: " + std::string(HttpResponseParser::kMaxHeader, 'x'), "refusedsize"},
      {"endless fields",
       [&] {
         std::string many = ok;
         while (many.size() <= HttpResponseParser::kMaxHeader + 100) many += "A: b\r\n";
         return many;
       }(),
       "refusedsize"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    for (const std::size_t piece : {c.octets.size(), std::size_t{1}}) EXPECT_EQ(parse(c.octets, piece, true).error, c.error);
  }
}

}  // namespace
}  // namespace relais::net
