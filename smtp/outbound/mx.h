// The order in which a domain's mail hosts are tried. Pure but for the dice.
#pragma once

#include "net/dns_records.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// What MX records say.
struct MxSet {
  bool null = false;                     ///< RFC 7505: the domain takes no mail
  std::vector<net::MxRecord> records{};  ///< usable ones, each host once, by preference, at random among equals (RFC 5321 §5.1)
};

/// Reads the RDATA of MX records. Malformed ones, names that no host can have, and "." beside other records (RFC 7505 §3) are left out.
/// Linear but for the sorting, however many there are.
MxSet read_mx(std::span<const std::string> rdata);

/// RFC 5321 §5.1: where a host is ourselves, it and all hosts of the same and of higher preference numbers are dropped. @return whether one
/// was
bool drop_from_ourselves(std::vector<net::MxRecord>& sorted, const std::function<bool(const net::MxRecord&)>& is_us);

}  // namespace relais::smtp
