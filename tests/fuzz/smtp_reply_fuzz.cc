// What another server says, in any pieces: the same replies, never more than the limits, always printable; and what we write back is whole
// lines.
#include "base/ascii.h"
#include "smtp/proto/client_command.h"
#include "smtp/proto/remote_offer.h"
#include "smtp/proto/remote_reply.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::smtp;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

bool printable(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return c == '\t' || c == '\n' || (c >= 32 && c != 127) || static_cast<unsigned char>(c) >= 0x80; });
}

void try_commands(const RemoteReply& reply) {
  const auto offer = parse_offer(reply, true);
  std::string out;
  const MailCommand mail{.sender = reply.text,
                         .size = reply.text.size(),
                         .body = Body::binary,
                         .smtputf8 = true,
                         .require_tls = true,
                         .ret = Ret::full,
                         .envelope_id = reply.text,
                         .deliver_by = DeliverBy{1, true, true},
                         .priority = 20};
  const OriginalRecipient original{"rfc822", reply.text};
  for (const bool done : {append_mail(out, mail, offer).has_value(), append_rcpt(out, {reply.text, {}, &original}, offer).has_value(),
                          append_hello(out, "EHLO", reply.text).has_value()}) {
    if (!done) continue;
    expect(out.ends_with("\r\n"));
  }
  expect(std::ranges::count(out, '\n') == std::ranges::count(out, '\r'));
  expect(std::ranges::count(out, '\n') <= 3);
}

std::vector<std::string> replies(std::string_view input, std::size_t piece) {
  ReplyParser parser;
  std::vector<std::string> out;
  std::string buffered;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffered += input.substr(at, piece);
    for (;;) {
      const auto step = parser.feed(buffered);
      expect(step.used <= buffered.size());
      buffered.erase(0, step.used);
      if (step.event == ReplyParser::Event::more) break;
      if (step.event == ReplyParser::Event::garbage) {
        expect(!parser.error().empty() && parser.error().size() < 300 && printable(parser.error()) && !parser.error().contains('\n'));
        out.push_back("!" + parser.error());
        return out;
      }
      const auto& reply = parser.reply();
      expect(reply.code >= 200 && reply.code < 600 && reply.text.size() <= kMaxReplyText + kMaxRemoteReplyLines && printable(reply.text));
      expect(reply.enhanced.empty() || reply.enhanced[0] == static_cast<char>('0' + reply.code / 100));
      expect(!reply.line().contains('\n'));
      try_commands(reply);
      out.push_back(std::to_string(reply.code) + reply.enhanced + "|" + reply.text);
    }
    expect(buffered.size() < kMaxRemoteReplyLine);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = replies(input, input.size() + 1);
  expect(whole == replies(input, data[0] + 1U) && whole == replies(input, 1));
  return 0;
}
