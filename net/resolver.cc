// Names of types and verdicts.
#include "net/resolver.h"

namespace relais::net {

std::string_view to_string(DnsType type) noexcept {
  switch (type) {
    case DnsType::a: return "A";
    case DnsType::ns: return "NS";
    case DnsType::cname: return "CNAME";
    case DnsType::ptr: return "PTR";
    case DnsType::mx: return "MX";
    case DnsType::txt: return "TXT";
    case DnsType::aaaa: return "AAAA";
    case DnsType::tlsa: return "TLSA";
  }
  return "?";
}

std::string_view to_string(DnsAnswer::Status status) noexcept {
  switch (status) {
    case DnsAnswer::Status::found: return "found";
    case DnsAnswer::Status::no_data: return "no such records";
    case DnsAnswer::Status::no_name: return "no such name";
    case DnsAnswer::Status::bogus: return "bogus";
    case DnsAnswer::Status::failed: return "failed";
  }
  return "?";
}

}  // namespace relais::net
