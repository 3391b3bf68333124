// POP3: framer, commands, byte-stuffing and TOP give the same however the octets are cut; what is accepted is well-formed.
#include "pop/proto/command.h"
#include "pop/proto/line.h"
#include "pop/proto/reply.h"

#include <cstdlib>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::pop;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_command(std::string_view line) {
  const auto command = parse_command(line);
  if (!command) {
    require((command.error().fault == Fault::syntax || command.error().fault == Fault::refused) && !command.error().text.empty());
    return;
  }
  require(line.size() >= to_string(command->verb).size());
  require(line.find('\0') == std::string_view::npos);
  if (command->verb == Verb::retr || command->verb == Verb::dele || command->verb == Verb::top) require(command->message.has_value());
  if (command->verb == Verb::user || command->verb == Verb::pass) require(!command->text.empty());
}

std::vector<std::string> events(std::string_view input, std::size_t piece, std::size_t limit) {
  LineFramer framer;
  std::vector<std::string> out;
  std::string buffered;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffered += input.substr(at, piece);
    for (;;) {
      const auto step = framer.feed(buffered, limit);
      require(step.used <= buffered.size());
      if (step.event == LineFramer::Event::line) {
        require(step.line.size() < limit && step.line.find('\n') == std::string_view::npos);
        check_command(step.line);
        out.emplace_back(step.line);
      } else if (step.event == LineFramer::Event::too_long) {
        out.emplace_back("\n");
      }
      buffered.erase(0, step.used);
      if (step.event == LineFramer::Event::more) break;
      if (step.event == LineFramer::Event::endless) return out;
    }
  }
  return out;
}

std::string stuffed(std::string_view message, std::size_t piece) {
  MessageWriter writer;
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += piece) writer.append(out, message.substr(at, piece));
  writer.finish(out);
  return out;
}

std::string cut(std::string_view message, std::size_t piece, std::uint32_t lines) {
  TopCutter cutter(lines);
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += piece) {
    const auto part = message.substr(at, piece);
    const auto wanted = cutter.take(part);
    require(wanted <= part.size());
    out += part.substr(0, wanted);
    if (wanted < part.size()) break;
  }
  return out;
}

void check_wire(std::string_view wire) {
  require(wire.ends_with(".\r\n"));
  // The end is met at the end alone, by strict and by lenient readers.
  const auto body = wire.substr(0, wire.size() - 3);
  require(body.empty() || body.ends_with("\r\n"));
  for (auto at = body.find("\n.\r\n"); at != std::string_view::npos; at = body.find("\n.\r\n", at + 1)) require(false);
  require(!body.starts_with(".\r\n") && !body.starts_with(".\n") && body.find("\n.\n") == std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = data[0] + 1U;
  const std::uint32_t lines = data[1];
  const std::string_view input{reinterpret_cast<const char*>(data) + 2, size - 2};
  const auto whole = events(input, input.size() + 1, kMaxCommandLine);
  require(whole == events(input, piece, kMaxCommandLine) && whole == events(input, 1, kMaxCommandLine));
  const auto wire = stuffed(input, input.size() + 1);
  require(wire == stuffed(input, piece) && wire == stuffed(input, 1));
  check_wire(wire);
  const auto top = cut(input, input.size() + 1, lines);
  require(input.starts_with(top) && top == cut(input, piece, lines) && top == cut(input, 1, lines));
  return 0;
}
