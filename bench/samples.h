// Messages to measure with: always the same octets.
#pragma once

#include <cstdint>
#include <string>

namespace relais::bench {

/// A message as a mail user sends it: trace and MIME headers, plain text and HTML of about `octets` together.
inline std::string sample_message(std::size_t octets, unsigned number = 1) {
  const auto n = std::to_string(number);
  std::string out = "Received: from mx.example.org (mx.example.org [192.0.2.7]) by mail.example.net with ESMTPS id " + n +
                    "\r\n\tfor <bob@example.net>; Mon, 5 Jan 2026 10:00:00 +0100\r\n"
                    "From: =?utf-8?Q?Andr=C3=A9?= Example <andre@example.org>\r\nTo: Bob Example <bob@example.net>, carol@example.net\r\n"
                    "Cc: \"Dave, of Example\" <dave@example.com>\r\nSubject: Re: message number " +
                    n + " of the benchmark\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <" + n +
                    ".bench@example.org>\r\nIn-Reply-To: <0.bench@example.net>\r\nReferences: <a.bench@example.net> <0.bench@example.net>\r\n"
                    "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n"
                    "--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
  std::uint32_t x = number * 2'654'435'761U + 1;
  const auto text = [&](std::size_t until) {
    while (out.size() + 80 < until) {
      for (int i = 0; i < 8; ++i) {
        x = x * 1'664'525U + 1'013'904'223U;
        out += "word" + std::to_string(x >> 20U) + ' ';
      }
      out += "\r\n";
    }
  };
  text(octets / 3);
  out += "--b1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>\r\n";
  text(octets);
  return out + "</p>\r\n--b1--\r\n";
}

}  // namespace relais::bench
