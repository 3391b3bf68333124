// Any command line: no crash; what is accepted is well-formed and can be written and read again.
#include "smtp/proto/auth.h"
#include "smtp/proto/bdat.h"
#include "smtp/proto/command.h"
#include "smtp/proto/hello.h"
#include "smtp/proto/mail.h"
#include "smtp/proto/rcpt.h"
#include "smtp/proto/reply.h"

#include <cstdlib>

using namespace relais;
using namespace relais::smtp;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

// A refusal must become one or more whole reply lines, whatever the input held.
void expect_reply(const Error& error) {
  std::string out;
  append_reply(out, reply_for(error));
  expect(out.ends_with("\r\n") && (out[0] == '4' || out[0] == '5'));
  const auto code = out.substr(0, 3);
  for (std::size_t at = 0; at < out.size();) {
    const auto end = out.find("\r\n", at);
    const auto line = std::string_view(out).substr(at, end - at);
    at = end + 2;
    expect(line.size() >= 4 && line.size() + 2 <= kMaxReplyLine && line.starts_with(code) && line[3] == (at == out.size() ? ' ' : '-'));
    expect(line.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos);
  }
}

void expect_address(const message::Address& address) {
  const auto text = message::to_string(address);
  const auto again = message::parse_mailbox(text, true);
  expect(again && *again == address);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line{reinterpret_cast<const char*>(data), size};
  const auto command = parse_command(line);
  const auto rest = command.rest;
  switch (command.verb) {
    case Verb::mail: {
      const auto args = parse_mail(
          rest, {.esmtp = true, .auth = true, .dsn = true, .future_release = true, .deliver_by = true, .priority = true, .require_tls = true});
      if (!args) return expect_reply(args.error()), 0;
      if (args->reverse_path) expect_address(*args->reverse_path);
      if (args->deliver_by) expect(parse_deliver_by(to_string(*args->deliver_by)) == args->deliver_by);
      if (args->priority) expect(*args->priority >= -9 && *args->priority <= 9);
      if (args->auth) expect(decode_xtext(encode_xtext(*args->auth)) == *args->auth);
      break;
    }
    case Verb::rcpt:
      for (const bool utf8 : {false, true}) {
        const auto args = parse_rcpt(rest, utf8, true);
        if (!args) {
          expect_reply(args.error());
          continue;
        }
        if (args->notify.given()) expect(parse_notify(to_string(args->notify)) == args->notify);
        if (const auto original = to_string(args->original); !args->original.empty() && original.size() <= kMaxOriginalRecipient)
          expect(parse_original_recipient(original) == args->original);
        if (args->forward_path.domain.empty()) {
          expect(args->forward_path.local_part == "postmaster");
        } else {
          expect_address(args->forward_path);
        }
      }
      break;
    case Verb::bdat:
      if (const auto args = parse_bdat(rest); !args) expect_reply(args.error());
      break;
    case Verb::auth:
      if (const auto args = parse_auth(rest); !args) expect_reply(args.error());
      break;
    case Verb::ehlo:
    case Verb::helo:
    case Verb::lhlo:
      if (const auto args = parse_hello(rest); !args) expect_reply(args.error());
      break;
    default:
      if (const auto response = parse_auth_response(line); !response) expect_reply(response.error());
      expect_reply(Error{Fault::refused, {}, std::string(rest), {}});
      break;
  }
  return 0;
}
