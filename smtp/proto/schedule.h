// What a sender says about time and urgency: HOLDFOR, HOLDUNTIL, BY, MT-PRIORITY.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::smtp {

/// Release not before: RFC 4865 §3.
struct Hold {
  bool until = false;        ///< HOLDUNTIL; else HOLDFOR
  std::int64_t seconds = 0;  ///< from now on (HOLDFOR, 1 to 999,999,999), or since the epoch, UTC (HOLDUNTIL)
  std::string request;       ///< "for;600", "until;2026-01-01T00:00:00Z": the Future-Release-Request field of reports (RFC 4865 §5.1.2)
  friend bool operator==(const Hold&, const Hold&) = default;
};

/// Deliver within: RFC 2852 §4.
struct DeliverBy {
  std::int32_t seconds = 0;  ///< from now on, -999,999,999 to 999,999,999; above 0 where `give_up`
  bool give_up = false;      ///< "R": return the message then; else "N": notify and go on
  bool trace = false;        ///< "T": a "relayed" notice wherever it is passed on
  friend bool operator==(const DeliverBy&, const DeliverBy&) = default;
};

/// The values of the parameters. nullopt where they are malformed. Pure.
std::optional<Hold> parse_hold_for(std::string_view value);
std::optional<Hold> parse_hold_until(std::string_view value);
std::optional<DeliverBy> parse_deliver_by(std::string_view value);
/// -9 to 9: RFC 6710 §7.
std::optional<int> parse_priority(std::string_view value);

/// "120;R": parse_deliver_by() gives the same back.
std::string to_string(const DeliverBy& by);

/// Seconds since the epoch of "2026-01-31T23:59:60.5+01:00"; nullopt where it is malformed or no day of the calendar. RFC 3339 §5.6
std::optional<std::int64_t> parse_date_time(std::string_view text);
/// "2026-01-31T22:59:59Z". @param seconds since the epoch, years 0 to 9999
std::string format_date_time(std::int64_t seconds);

}  // namespace relais::smtp
