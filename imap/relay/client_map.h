// What a client knows of its mailbox, asked of the platform that it has been at.
#pragma once

#include "base/number_set.h"
#include "imap/relay/handover.h"
#include "net/connection.h"

#include <cstdint>
#include <string>

namespace relais::imap {

struct ClientMap {
  NumberSet uids;  ///< sequence number n is the n-th
  KnownFlags flags;
};

/// A session at a boundary, with a mailbox selected.
struct ClientMapQuestion {
  std::string idle_tag{};    ///< of the IDLE in progress; empty: none
  std::uint32_t exists = 0;  ///< messages that the client was told of
  std::uint32_t most = 0;    ///< and at most so many
};

/// Ends an IDLE, its reply kept. `FETCH 1:* (UID)` gives the client's map of sequence numbers to UIDs, because no EXPUNGE can come
/// meanwhile (RFC 9051 §7.5.1). `NOOP` then tells the flags that have changed since the client was last told: they are passed on, in the
/// client's numbers. EXISTS and EXPUNGE are kept from then on: whoever goes on with the session finds out by the map. Last, the flags of
/// all messages, which is what the client may believe now.
///
/// Where nobody else changes the mailbox any more, as after a cutover, the answer is exact; where the server does not do as the RFC says it
/// is refused: Fault::refused, detail says what. Fault::closed, "timeout" as Connection.
///
/// @param server  nothing of what it said was passed on beyond the boundary  @param client  what is passed on has been sent when it returns
/// Memory: 8 octets per message, and the answer. Threads: the loop's of both, which is let go of now and then.
net::Task<ClientMap> ask_client_map(net::Connection& server, net::Connection& client, ClientMapQuestion question, net::Deadline until);

}  // namespace relais::imap
