// Turns header fields with 8-bit octets into US-ASCII.
#include "message/downgrade_header.h"

#include <algorithm>

#include "base/ascii.h"
#include "message/address.h"
#include "message/encode.h"
#include "message/mime.h"

namespace relais::message {
namespace {

constexpr std::string_view kAddressFields[] = {"from",
                                               "sender",
                                               "reply-to",
                                               "to",
                                               "cc",
                                               "bcc",
                                               "resent-from",
                                               "resent-to",
                                               "resent-cc",
                                               "resent-bcc",
                                               "resent-sender",
                                               "resent-reply-to",
                                               "disposition-notification-to"};
constexpr std::string_view kParameterFields[] = {"content-type", "content-disposition"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
  return std::ranges::any_of(names, [&](std::string_view known) { return iequals(known, name); });
}

std::unexpected<Error> needs_smtputf8() {
  return fail(Fault::refused, "an address in the header is not US-ASCII, which only SMTPUTF8 can carry", "5.6.7");
}

/// A field being written: folds at spaces.
class Line {
 public:
  Line(std::string& out, std::string_view name) : out_(out), column_(name.size() + 1) { (out_ += name) += ':'; }
  /// A word with a space (or a fold) in front. `glue`: no space.
  void word(std::string_view text, bool glue = false) {
    if (!glue) space(text.size());
    out_ += text;
    column_ += text.size();
  }
  void encoded(std::string_view text) {
    out_ += ' ';
    ++column_;
    append_encoded_words(out_, text, column_);
  }
  void end() { out_ += "\r\n"; }

 private:
  void space(std::size_t next) {
    if (column_ + 1 + next > kEncodedLine && column_ > 1) {
      out_ += "\r\n ";
      column_ = 1;
    } else {
      out_ += ' ';
      ++column_;
    }
  }
  std::string& out_;
  std::size_t column_;
};

// Words with 8-bit octets, and those between two of them, become encoded words; the others stay.
void append_unstructured(std::string& out, std::string_view name, std::string_view value) {
  Line line(out, name);
  const auto text = unfold(value);
  std::string_view rest = text;
  std::string pending;  // from the first 8-bit word of a run to the last so far
  const auto flush = [&] {
    if (!pending.empty()) line.encoded(pending);
    pending.clear();
  };
  while (!rest.empty()) {
    const auto begin = rest.find_first_not_of(" \t");
    if (begin == std::string_view::npos) break;
    const auto white = rest.substr(0, begin);
    rest.remove_prefix(begin);
    const auto word = rest.substr(0, rest.find_first_of(" \t"));
    rest.remove_prefix(word.size());
    if (is_ascii(word)) {
      flush();
      std::string clean;
      append_clean(clean, word, true);
      line.word(clean);
    } else {
      if (!pending.empty()) pending += white;  // space between encoded words is not shown: it belongs into them
      pending += word;
    }
  }
  flush();
  line.end();
}

// word / quoted-string: what a display name in ASCII is written as.  RFC 5322 §3.2.5
std::string phrase(std::string_view name) {
  const bool plain = std::ranges::all_of(
      name, [](char c) { return ascii_alpha(c) || ascii_digit(c) || std::string_view(" !#$%&'*+-/=?^_`{|}~").contains(c); });
  if (plain) return std::string(name);
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c >= ' ' && c < 127 ? c : ' ';
  }
  return quoted += '"';
}

Result<std::string> addr_spec(const ListedAddress& listed) {
  if (!is_ascii(listed.mailbox)) return needs_smtputf8();
  std::string local = listed.mailbox;
  // The domain only matters for the quoting: to_string() does that for the local part.
  auto text = to_string(Address{local, "x"});
  text.resize(text.size() - 1);
  if (listed.host.empty()) return text.substr(0, text.size() - 1);
  if (is_ascii(listed.host)) return text += listed.host;
  auto domain = to_ascii_domain(listed.host);
  if (!domain) return needs_smtputf8();
  return text += *domain;
}

Result<void> append_addresses(std::string& out, std::string_view name, const std::vector<ListedAddress>& list) {
  Line line(out, name);
  bool comma = false;
  for (const auto& item : list) {
    if (item.kind == ListedAddress::Kind::group_end) {
      line.word(";", true);
      comma = true;
      continue;
    }
    if (comma) line.word(",", true);
    comma = item.kind == ListedAddress::Kind::mailbox;
    if (!item.name.empty() && is_ascii(item.name))
      line.word(phrase(item.name));
    else if (!item.name.empty())
      line.encoded(item.name);
    if (item.kind == ListedAddress::Kind::group_start) {
      line.word(":", true);
      continue;
    }
    RELAIS_TRY(const auto address, addr_spec(item));
    line.word(item.name.empty() ? address : "<" + address + ">");
  }
  line.end();
  return {};
}

// extended-other-values = *( ext-octet / attribute-char )     RFC 2231 §7
void append_extended(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  out += is_utf8(text) ? "utf-8''" : "''";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (ascii_alpha(c) || ascii_digit(c) || std::string_view("-._~").contains(c)) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[octet >> 4U]);
      out.push_back(kHex[octet & 15U]);
    }
  }
}

Result<void> append_parameters(std::string& out, std::string_view name, const ParameterizedValue& value) {
  Line line(out, name);
  line.word(value.value);
  for (const auto& parameter : value.parameters) {
    if (!is_ascii(parameter.name)) continue;
    line.word(";", true);
    std::string text = parameter.name;
    if (!is_ascii(parameter.value)) {
      // The delimiter lines hold it too.
      if (parameter.name == "boundary") return fail(Fault::refused, "a boundary is not US-ASCII", "5.6.3");
      if (!text.ends_with('*')) text += '*';
      append_extended(text += '=', parameter.value);
    } else if (parameter.name.ends_with('*')) {
      text += "=" + parameter.value;
    } else {
      text += "=\"";
      for (const char c : parameter.value) {
        if (c == '"' || c == '\\') text += '\\';
        text += c >= ' ' && c < 127 ? c : ' ';
      }
      text += '"';
    }
    line.word(text);
  }
  line.end();
  return {};
}

}  // namespace

void append_clean(std::string& out, std::string_view octets, bool ascii) {
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const char c = octets[i];
    if (c == '\r' && i + 1 < octets.size() && octets[i + 1] == '\n') ++i;
    if (c == '\r' || c == '\n')
      out += "\r\n";
    else
      out.push_back(c == '\0' || (ascii && static_cast<unsigned char>(c) >= 0x80) ? '?' : c);
  }
}

Result<void> append_seven_bit_field(std::string& out, const Field& field) {
  if (is_ascii(field.raw) || field.name.empty()) {
    append_clean(out, field.raw, true);
    return {};
  }
  if (is_one_of(field.name, kAddressFields)) {
    const auto list = parse_address_list(field.value);
    if (!list.empty() && list.size() < kMaxListedAddresses) return append_addresses(out, field.name, list);
  }
  if (is_one_of(field.name, kParameterFields)) {
    const auto value = parse_parameterized(field.value);
    if (!value.value.empty() && is_ascii(value.value)) return append_parameters(out, field.name, value);
  }
  append_unstructured(out, field.name, field.value);
  return {};
}

}  // namespace relais::message
