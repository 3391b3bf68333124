// What a POP3 server says: bodies are the same however the octets are cut, and are what our own writer would send again.
#include "pop/proto/reply.h"
#include "pop/proto/server_reply.h"

#include <cstdlib>
#include <string>

using namespace relais;
using namespace relais::pop;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct Body {
  std::string octets;
  std::size_t used = 0;
  bool done = false;
  bool operator==(const Body&) const = default;
};

Body read(std::string_view wire, std::size_t piece) {
  BodyReader reader;
  Body body;
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    auto part = wire.substr(at, piece);
    while (!part.empty()) {
      const auto step = reader.feed(part);
      require(step.used <= part.size() && (step.used > 0 || !step.octets.empty()));
      body.octets += step.octets;
      body.used += step.used;
      part.remove_prefix(step.used);
      if (!step.done) continue;
      body.done = true;
      return body;
    }
  }
  return body;
}

void check_line(std::string_view line) {
  if (const auto status = parse_status(line)) require(status->text.size() < line.size() && status->code.size() <= status->text.size());
  if (const auto listing = parse_listing(line)) require(listing->number > 0 && !listing->value.empty() && !listing->value.contains(' '));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = data[0] + 1U;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  check_line(input.substr(0, input.find('\n')));
  const auto body = read(input, input.size() + 1);
  require(body == read(input, piece) && body == read(input, 1));
  if (body.done) require(body.octets.empty() || body.octets.ends_with("\r\n"));
  // What we send has its end at its end.
  MessageWriter writer;
  std::string wire;
  writer.append(wire, input);
  writer.finish(wire);
  const auto back = read(wire, piece);
  require(back.done && back.used == wire.size());
  return 0;
}
