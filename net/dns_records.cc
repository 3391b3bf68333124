// RDATA of DNS records, octet by octet.
#include "net/dns_records.h"

#include "base/ascii.h"
#include "base/encode.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace relais::net {
namespace {

constexpr std::size_t kMaxLabel = 63;      // octets, RFC 1035 §2.3.4
constexpr std::size_t kMaxHostName = 253;  // characters of text: 255 octets on the wire less the first length and the root
constexpr std::size_t kMaxString = 255;    // octets of a character string, RFC 1035 §3.3

std::unexpected<Error> not_a(std::string_view what) { return fail(Fault::syntax, std::string("not a DNS record of type ").append(what)); }

// RFC 4343 §2.1: what is not a printable character of a label, or would end it, is written \DDD.
void append_label(std::string& out, std::string_view label) {
  for (const char c : label) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet > 0x20 && octet < 0x7f && c != '.' && c != '\\') {
      out += ascii_lower(c);
    } else {
      out += '\\';
      out += static_cast<char>('0' + octet / 100);
      out += static_cast<char>('0' + octet / 10 % 10);
      out += static_cast<char>('0' + octet % 10);
    }
  }
}

// One uncompressed name; the cursor stands behind it then.
Result<std::string> take_name(Decoder& in) {
  std::string name;
  std::size_t octets = 1;
  for (;;) {
    const std::size_t size = in.u8();
    if (!in.ok() || size > kMaxLabel) return fail(Fault::syntax, "not a domain name");
    if (size == 0) return name;
    octets += size + 1;
    const auto label = in.octets(size);
    if (!in.ok() || octets > kMaxDnsName) return fail(Fault::syntax, "not a domain name");
    if (!name.empty()) name += '.';
    append_label(name, label);
  }
}

template <class Octets, int Family>
Result<std::string> address_text(std::string_view rdata, std::string_view type) {
  if (rdata.size() != sizeof(Octets)) return not_a(type);
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(Family, rdata.data(), text.data(), text.size());
  return std::string(text.data());
}

template <class Octets, int Family>
Result<std::string> address_octets(std::string_view address, std::string_view type) {
  std::array<char, sizeof(Octets)> octets{};
  if (::inet_pton(Family, std::string(address).c_str(), octets.data()) != 1) return not_a(type);
  return std::string(octets.data(), octets.size());
}

bool host_character(char c) noexcept { return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_'; }

}  // namespace

Result<std::string> parse_a(std::string_view rdata) { return address_text<in_addr, AF_INET>(rdata, "A"); }
Result<std::string> parse_aaaa(std::string_view rdata) { return address_text<in6_addr, AF_INET6>(rdata, "AAAA"); }

Result<MxRecord> parse_mx(std::string_view rdata) {
  Decoder in(rdata);
  MxRecord record;
  record.preference = in.u16();
  RELAIS_TRY(record.host, take_name(in));
  if (!in.done()) return not_a("MX");
  return record;
}

Result<std::string> parse_txt(std::string_view rdata) {
  if (rdata.empty()) return not_a("TXT");
  std::string text;
  Decoder in(rdata);
  while (in.ok() && !in.done()) text.append(in.octets(in.u8()));
  if (!in.ok()) return not_a("TXT");
  return text;
}

Result<TlsaRecord> parse_tlsa(std::string_view rdata) {
  Decoder in(rdata);
  TlsaRecord record;
  record.usage = in.u8();
  record.selector = in.u8();
  record.matching = in.u8();
  record.data = in.rest();
  if (!in.ok() || record.data.empty()) return not_a("TLSA");
  return record;
}

Result<std::string> parse_name(std::string_view rdata) {
  Decoder in(rdata);
  RELAIS_TRY(auto name, take_name(in));
  if (!in.done()) return not_a("CNAME");
  return name;
}

Result<std::string> make_a(std::string_view address) { return address_octets<in_addr, AF_INET>(address, "A"); }
Result<std::string> make_aaaa(std::string_view address) { return address_octets<in6_addr, AF_INET6>(address, "AAAA"); }

Result<std::string> make_mx(const MxRecord& record) {
  std::string out;
  put_u16(out, record.preference);
  RELAIS_TRY(const auto host, make_name(record.host));
  return out.append(host);
}

std::string make_txt(std::string_view text) {
  std::string out;
  do {
    const auto piece = text.substr(0, kMaxString);
    put_u8(out, static_cast<std::uint8_t>(piece.size()));
    out.append(piece);
    text.remove_prefix(piece.size());
  } while (!text.empty());
  return out;
}

std::string make_tlsa(const TlsaRecord& record) {
  std::string out;
  put_u8(out, record.usage);
  put_u8(out, record.selector);
  put_u8(out, record.matching);
  return out.append(record.data);
}

Result<std::string> make_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string out;
  std::string label;
  // What a label is made of: characters, and octets written \DDD.
  for (std::size_t i = 0; i <= name.size() && !name.empty(); ++i) {
    if (i == name.size() || name[i] == '.') {
      if (label.empty() || label.size() > kMaxLabel) return fail(Fault::syntax, "not a domain name");
      put_u8(out, static_cast<std::uint8_t>(label.size()));
      out.append(label);
      label.clear();
    } else if (name[i] == '\\') {
      const auto digits = name.substr(i + 1, 3);
      const auto value = digits.size() == 3 ? parse_u64(digits) : std::nullopt;
      if (!value || *value > 255) return fail(Fault::syntax, "not a domain name");
      label += static_cast<char>(static_cast<unsigned char>(*value));
      i += 3;
    } else {
      label += ascii_lower(name[i]);
    }
  }
  put_u8(out, 0);
  if (out.size() > kMaxDnsName) return fail(Fault::syntax, "not a domain name");
  return out;
}

std::string to_string(const TlsaRecord& record) {
  std::string out;
  for (const auto number : {record.usage, record.selector, record.matching}) {
    append_number(out, number);
    out += ' ';
  }
  return out.append(to_hex(record.data));
}

bool is_host_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kMaxHostName) return false;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (!host_character(c) || ++label > kMaxLabel) {
      return false;
    }
  }
  return label > 0;
}

}  // namespace relais::net
