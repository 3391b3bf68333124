// Charsets to UTF-8 with ICU, and the folding of case for search.
#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/ucnv.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/ascii.h"
#include "message/decode.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxCharsetName = 60;                // octets; ICU's longest is below
constexpr std::size_t kOpenConverters = 8;                 // per thread
constexpr std::size_t kPiece = std::size_t{1} << 24;       // octets given to ICU at once: its lengths are 32 bits
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Labels whose texts are really written in a superset of what the label says (WHATWG encoding standard), and names ICU lacks.
struct Alias {
  std::string_view name;
  const char* icu;
};
constexpr Alias kAliases[] = {
    {"iso-8859-1", "windows-1252"},
    {"iso8859-1", "windows-1252"},
    {"iso_8859-1", "windows-1252"},
    {"latin1", "windows-1252"},
    {"l1", "windows-1252"},
    {"cp1252", "windows-1252"},
    {"iso-8859-9", "windows-1254"},
    {"gb2312", "gb18030"},
    {"gbk", "gb18030"},
    {"gb_2312-80", "gb18030"},
    {"x-gbk", "gb18030"},
    {"cp936", "gb18030"},
    {"euc-kr", "windows-949"},
    {"ks_c_5601-1987", "windows-949"},
    {"ks_c_5601", "windows-949"},
    {"ksc5601", "windows-949"},
    {"shift_jis", "windows-31j"},
    {"shift-jis", "windows-31j"},
    {"sjis", "windows-31j"},
    {"x-sjis", "windows-31j"},
    {"iso-8859-8-i", "iso-8859-8"},
    {"tis-620", "windows-874"},
    {"x-mac-roman", "macintosh"},
    {"big5-hkscs", "Big5-HKSCS"},
};

constexpr bool is_utf8_name(std::string_view name) noexcept { return name == "utf-8" || name == "utf8" || name == "unicode-1-1-utf-8"; }
constexpr bool is_ascii_name(std::string_view name) noexcept {
  return name.empty() || name == "us-ascii" || name == "ascii" || name == "ansi_x3.4-1968" || name == "iso646-us" || name == "default" ||
         name == "unknown-8bit" || name == "x-unknown";
}

struct CloseConverter {
  void operator()(UConverter* converter) const noexcept { ucnv_close(converter); }
};
using ConverterPtr = std::unique_ptr<UConverter, CloseConverter>;

// The thread's converter for a lower-case name, ready at its initial state; nullptr for an unknown name.
UConverter* converter_for(std::string_view name) {
  struct Entry {
    std::string name;
    ConverterPtr converter;
  };
  static thread_local std::vector<Entry> open;  // most recently used first
  if (name.size() > kMaxCharsetName) return nullptr;
  auto it = std::ranges::find(open, name, &Entry::name);
  if (it == open.end()) {
    // A comma would start ICU's converter options.
    if (name.contains(',') || name.contains('\0') || !is_ascii(name)) return nullptr;
    std::string icu_name(name);
    for (const auto& alias : kAliases) {
      if (alias.name == name) icu_name = alias.icu;
    }
    UErrorCode error = U_ZERO_ERROR;
    ConverterPtr converter(ucnv_open(icu_name.c_str(), &error));
    if (U_FAILURE(error)) return nullptr;
    if (open.size() == kOpenConverters) open.pop_back();
    open.push_back({std::string(name), std::move(converter)});
    it = open.end() - 1;
  }
  std::rotate(open.begin(), it, it + 1);
  ucnv_resetToUnicode(open.front().converter.get());
  return open.front().converter.get();
}

void append_code_point(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t octet) { out.push_back(static_cast<char>(static_cast<unsigned char>(octet))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

// UTF-16 to UTF-8; a high surrogate at the end of one piece waits in `high` for the next.
void append_utf16(std::string& out, const char16_t* begin, const char16_t* end, char16_t& high) {
  for (const char16_t* p = begin; p != end; ++p) {
    const char16_t unit = *p;
    if (high != 0) {
      const bool pair = unit >= 0xDC00 && unit < 0xE000;
      if (pair)
        append_code_point(out, 0x10000 + ((static_cast<std::uint32_t>(high) - 0xD800) << 10) + (unit - 0xDC00U));
      else
        out.append(kReplacement);
      high = 0;
      if (pair) continue;
    }
    if (unit >= 0xD800 && unit < 0xDC00)
      high = unit;
    else if (unit >= 0xDC00 && unit < 0xE000)
      out.append(kReplacement);
    else
      append_code_point(out, unit);
  }
}

std::string convert(UConverter* converter, std::string_view octets) {
  std::string out;
  out.reserve(octets.size() + octets.size() / 2);
  std::array<char16_t, 1024> buffer;
  const char* source = octets.data();
  const char* const source_end = source + octets.size();
  char16_t high = 0;
  for (;;) {
    UErrorCode error = U_ZERO_ERROR;
    char16_t* target = buffer.data();
    ucnv_toUnicode(converter, &target, buffer.data() + buffer.size(), &source, source_end, nullptr, true, &error);
    append_utf16(out, buffer.data(), target, high);
    if (error != U_BUFFER_OVERFLOW_ERROR) break;
  }
  if (high != 0) out.append(kReplacement);
  return out;
}

std::string lower_name(std::string_view charset) {
  charset = trim(charset);
  if (charset.size() >= 2 && (charset.front() == '"' || charset.front() == '\'') && charset.back() == charset.front())
    charset = charset.substr(1, charset.size() - 2);
  return to_lower(charset.substr(0, kMaxCharsetName + 1));
}

// The length of a prefix that does not end within a UTF-8 sequence.
std::size_t piece_length(std::string_view text) noexcept {
  if (text.size() <= kPiece) return text.size();
  auto n = kPiece;
  for (int i = 0; i < 3 && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80; ++i) --n;
  return n;
}

void append_lower(std::string& out, std::string_view text) {
  const auto begin = out.size();
  out.append(text);
  std::transform(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), out.begin() + static_cast<std::ptrdiff_t>(begin),
                 ascii_lower);
}

bool contains(std::string_view text, std::string_view key) noexcept {
  // memmem is linear in both lengths; std::string_view::find is not.
  return key.empty() || (text.size() >= key.size() && ::memmem(text.data(), text.size(), key.data(), key.size()) != nullptr);
}

}  // namespace

std::optional<std::string> to_utf8(std::string_view octets, std::string_view charset) {
  const auto name = lower_name(charset);
  if (is_ascii_name(name)) {
    if (is_utf8(octets)) return std::string(octets);
    return to_utf8(octets, "windows-1252");
  }
  if (is_utf8_name(name) && is_utf8(octets)) return std::string(octets);
  UConverter* converter = converter_for(name);
  if (!converter) return std::nullopt;
  return convert(converter, octets);
}

bool is_known_charset(std::string_view charset) {
  const auto name = lower_name(charset);
  return is_ascii_name(name) || is_utf8_name(name) || converter_for(name) != nullptr;
}

std::string fold_case_for_search(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  if (is_ascii(utf8)) {
    append_lower(out, utf8);
    return out;
  }
  UErrorCode error = U_ZERO_ERROR;
  const auto* nfkd = icu::Normalizer2::getNFKDInstance(error);
  if (U_FAILURE(error)) {  // ICU's data is missing: ASCII folding is what remains
    append_lower(out, utf8);
    return out;
  }
  while (!utf8.empty()) {
    const auto n = piece_length(utf8);
    std::string decomposed;
    icu::StringByteSink<std::string> first(&decomposed, static_cast<std::int32_t>(n));
    nfkd->normalizeUTF8(0, icu::StringPiece(utf8.data(), static_cast<std::int32_t>(n)), first, nullptr, error);
    std::string_view rest = decomposed;
    while (!rest.empty()) {  // decomposition can make it longer
      const auto m = piece_length(rest);
      icu::StringByteSink<std::string> second(&out);
      icu::CaseMap::utf8Fold(0, icu::StringPiece(rest.data(), static_cast<std::int32_t>(m)), second, nullptr, error);
      rest.remove_prefix(m);
    }
    utf8.remove_prefix(n);
  }
  return out;
}

Searcher::Searcher(std::string_view key) : key_(fold_case_for_search(key)), ascii_(is_ascii(key_)) {}

bool Searcher::found_in_folded(std::string_view folded) const noexcept { return contains(folded, key_); }

bool Searcher::found_in(std::string_view utf8) const {
  if (is_ascii(utf8)) return ascii_ && found_in_ascii(utf8);
  return contains(fold_case_for_search(utf8), key_);
}

// Lower-cases a piece at a time, each beginning with the end of the one before, so that no occurrence is cut.
bool Searcher::found_in_ascii(std::string_view text) const {
  constexpr std::size_t kBuffer = 4096;
  if (key_.size() > text.size()) return false;
  if (key_.size() > kBuffer / 2) return contains(to_lower(text), key_);
  std::array<char, kBuffer> buffer;
  const auto step = kBuffer - key_.size();
  for (std::size_t begin = 0; begin < text.size(); begin += step) {
    const auto piece = text.substr(begin, kBuffer);
    std::ranges::transform(piece, buffer.begin(), ascii_lower);
    if (contains({buffer.data(), piece.size()}, key_)) return true;
  }
  return key_.empty();
}

}  // namespace relais::message
