// Reads the keywords of a reply to EHLO.
#include "smtp/proto/remote_offer.h"

#include "base/ascii.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace relais::smtp {
namespace {

constexpr std::size_t kMaxName = 255;  // octets: RFC 5321 §4.5.3.1.2
constexpr std::size_t kMaxWords = 64;  // AUTH mechanisms or XCLIENT attributes that are kept

std::string_view take_word(std::string_view& rest) {
  const auto begin = rest.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    rest = {};
    return {};
  }
  rest.remove_prefix(begin);
  const auto word = rest.substr(0, rest.find_first_of(" \t"));
  rest.remove_prefix(word.size());
  return word;
}

std::optional<std::uint32_t> number32(std::string_view word) {
  const auto number = parse_u64(word);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(*number, std::numeric_limits<std::uint32_t>::max()));
}

void take_words(std::vector<std::string>& out, std::string_view rest) {
  for (auto word = take_word(rest); !word.empty() && out.size() < kMaxWords; word = take_word(rest)) {
    auto name = to_upper(word);
    if (std::ranges::find(out, name) == out.end()) out.push_back(std::move(name));
  }
}

// size-param ::= [1*20DIGIT]; 0 means no fixed limit          RFC 1870 §3
void take_size(RemoteOffer& offer, std::string_view rest) {
  offer.size = true;
  offer.max_size = parse_u64(take_word(rest)).value_or(0);
}

// deliverby-param = min-by-time *( "," extension-token )     RFC 2852 §2
void take_deliver_by(RemoteOffer& offer, std::string_view rest) {
  offer.deliver_by = true;
  const auto word = take_word(rest);
  offer.min_deliver_by = number32(word.substr(0, word.find(','))).value_or(0);
}

// LIMITS SP limit-name "=" value …                           RFC 9422
void take_limits(RemoteOffer& offer, std::string_view rest) {
  for (auto word = take_word(rest); !word.empty(); word = take_word(rest)) {
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const auto value = number32(word.substr(equals + 1)).value_or(0);
    if (iequals(word.substr(0, equals), "MAILMAX")) offer.max_messages = value;
    if (iequals(word.substr(0, equals), "RCPTMAX")) offer.max_recipients = value;
  }
}

void take_auth(RemoteOffer& offer, std::string_view rest) { take_words(offer.auth, rest); }
void take_xclient(RemoteOffer& offer, std::string_view rest) { take_words(offer.xclient, rest); }

template <bool RemoteOffer::* Flag>
void set(RemoteOffer& offer, std::string_view) {
  offer.*Flag = true;
}

struct Row {
  std::string_view keyword;
  void (*take)(RemoteOffer&, std::string_view rest);
};

constexpr Row kKeywords[] = {
    {"PIPELINING", set<&RemoteOffer::pipelining>},
    {"SIZE", take_size},
    {"8BITMIME", set<&RemoteOffer::eight_bit_mime>},
    {"CHUNKING", set<&RemoteOffer::chunking>},
    {"BINARYMIME", set<&RemoteOffer::binary_mime>},
    {"SMTPUTF8", set<&RemoteOffer::smtputf8>},
    {"DSN", set<&RemoteOffer::dsn>},
    {"STARTTLS", set<&RemoteOffer::starttls>},
    {"ENHANCEDSTATUSCODES", set<&RemoteOffer::enhanced_status_codes>},
    {"REQUIRETLS", set<&RemoteOffer::require_tls>},
    {"MT-PRIORITY", set<&RemoteOffer::mt_priority>},
    {"DELIVERBY", take_deliver_by},
    {"LIMITS", take_limits},
    {"AUTH", take_auth},
    {"XCLIENT", take_xclient},
};

bool contains(const std::vector<std::string>& words, std::string_view word) noexcept {
  return std::ranges::any_of(words, [&](const std::string& known) { return iequals(known, word); });
}

}  // namespace

bool RemoteOffer::offers_auth(std::string_view mechanism) const noexcept { return contains(auth, mechanism); }
bool RemoteOffer::takes_xclient(std::string_view attribute) const noexcept { return contains(xclient, attribute); }

// ehlo-ok-rsp = "250-" Domain [ SP ehlo-greet ] CRLF *( "250-" ehlo-line CRLF ) "250" SP ehlo-line CRLF        RFC 5321 §4.1.1.1
RemoteOffer parse_offer(const RemoteReply& reply, bool extended) {
  RemoteOffer offer;
  offer.extended = extended;
  std::string_view rest = reply.text;
  auto line = rest.substr(0, rest.find('\n'));
  offer.name = take_word(line).substr(0, kMaxName);
  while (extended) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
    auto words = rest.substr(0, rest.find('\n'));
    auto keyword = take_word(words);
    // Servers of the last century wrote "AUTH=LOGIN"; some still write both forms.
    if (istarts_with(keyword, "AUTH=")) {
      take_auth(offer, keyword.substr(5));
      keyword = "AUTH";
    }
    for (const auto& row : kKeywords) {
      if (iequals(row.keyword, keyword)) row.take(offer, words);
    }
  }
  return offer;
}

}  // namespace relais::smtp
