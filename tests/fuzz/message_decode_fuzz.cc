// Decoders: always UTF-8 where that is promised, sizes as announced, strict where strict, and a text is found in itself.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "base/encode.h"
#include "message/decode.h"

using namespace relais;
using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

constexpr std::string_view kCharsets[] = {"",      "utf-8",  "iso-8859-1", "iso-2022-jp",      "gb18030",   "big5",
                                          "utf-7", "utf-16", "utf-16le",   "euc-kr",           "shift_jis", "koi8-r",
                                          "hz",    "scsu",   "utf-32",     "imap-mailbox-name"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);

  const auto charset = kCharsets[data[0] % std::size(kCharsets)];
  if (const auto converted = to_utf8(text, charset)) check(is_utf8(*converted));
  to_utf8("x", text);  // the name of the charset is the sender's too
  check(is_utf8(decode_words(text)));
  if (const auto value = decode_extended_value(text)) check(is_utf8(*value));

  for (const auto encoding : {Encoding::seven_bit, Encoding::base64, Encoding::quoted_printable, Encoding::unknown}) {
    const auto tolerant = decode_transfer(encoding, text);
    const auto strict = decode_transfer_strict(encoding, text);
    const auto length = decoded_size(encoding, text);
    check(tolerant.size() <= text.size() && strict.has_value() == length.has_value());
    if (strict) check(*strict == tolerant && *length == strict->size());
  }
  check(decode_transfer_strict(Encoding::base64, to_base64(text)).value() == text);

  const auto folded = fold_case_for_search(text);
  const auto middle = text.substr(text.size() / 3, text.size() / 3);
  if (is_ascii(text)) {
    check(folded.size() == text.size() && fold_case_for_search(folded) == folded);
    check(Searcher(middle).found_in(text) && Searcher(to_upper(middle)).found_in_folded(folded));
  }
  const Searcher whole(text);
  check(whole.found_in(text) && whole.found_in_folded(folded));
  return 0;
}
