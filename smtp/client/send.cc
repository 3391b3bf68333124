// One message: what the host can take of it, and the transactions that it needs.
#include "base/ascii.h"
#include "message/downgrade.h"
#include "smtp/client/session.h"
#include "smtp/client/transaction.h"
#include "smtp/proto/client_command.h"

#include <algorithm>

namespace relais::smtp {
namespace {

constexpr std::size_t kWorthAWorker = 256 * 1024;  // octets

/// How content must change for a host.
enum class Conversion : std::uint8_t { none, to_eight_bit, to_seven_bit };

// RFC 6152 §3, RFC 3030 §3
Conversion conversion_for(Body body, const RemoteOffer& offer) {
  const bool eight_bit_will_do = offer.eight_bit_mime;
  switch (body) {
    case Body::seven_bit: return Conversion::none;
    case Body::eight_bit: return eight_bit_will_do ? Conversion::none : Conversion::to_seven_bit;
    case Body::binary: break;
  }
  if (offer.chunking && offer.binary_mime) return Conversion::none;
  return eight_bit_will_do ? Conversion::to_eight_bit : Conversion::to_seven_bit;
}

Verdict never(std::string_view status, std::string text) {
  return decided(Disposition::permanent, Scope::message, Stage::local, status, std::move(text));
}

/// What another host of the domain may do better.
Verdict never_here(std::string_view status, std::string text) {
  return decided(Disposition::permanent, Scope::host, Stage::local, status, std::move(text));
}

net::Task<std::string> read_all(ContentSource& source) {
  std::string octets;
  octets.reserve(source.size());
  source.rewind();
  for (;;) {
    RELAIS_CO_TRY(const auto piece, co_await source.next());
    if (piece.empty()) break;
    octets += piece;
  }
  source.rewind();
  co_return octets;
}

Result<std::string> convert(std::string_view octets, Conversion conversion) {
  return conversion == Conversion::to_seven_bit ? message::to_seven_bit(octets) : message::to_eight_bit(octets);
}

/// A message made ready for a host.
class Shipment {
 public:
  Shipment(Client::Impl& session, const OutboundMessage& message) : session_(session), message_(message), source_(message.content) {}
  /// Checks and converts. @return why the host can't have it at all
  net::asio::awaitable<std::optional<Verdict>> prepare(Outcome& outcome);
  Cargo cargo() { return {source_, body_, smtputf8_}; }

 private:
  std::optional<Verdict> check_demands() const;
  net::asio::awaitable<std::optional<Verdict>> check_header();
  net::asio::awaitable<std::optional<Verdict>> convert_content(Conversion conversion, Outcome& outcome);
  bool ascii_envelope() const;

  Client::Impl& session_;
  const OutboundMessage& message_;
  ContentSource* source_;
  Body body_ = Body::seven_bit;
  bool smtputf8_ = false;
  std::string octets_;  ///< converted
  std::optional<MemoryContent> converted_;
};

// What a host must be able to do, whatever the content.
std::optional<Verdict> Shipment::check_demands() const {
  const auto& offer = session_.offer;
  if (message_.require_tls && !message_.sender.empty()) {  // RFC 8689 §4.2.1; §5: reports are not to be lost for it
    if (!session_.tls.verified) return never_here("5.7.10", "REQUIRETLS: the connection to the host is not a verified TLS connection");
    if (!offer.require_tls) return never_here("5.7.30", "REQUIRETLS: the host does not support it");
  }
  if (const auto& by = message_.deliver_by; by && by->give_up) {  // RFC 2852 §4.1.4.1
    if (by->seconds <= 0) return never("5.4.7", "delivery time expired");
    if (!offer.deliver_by) return never_here("5.3.3", "the host does not support DELIVERBY, which the sender asked for");
    if (static_cast<std::uint32_t>(by->seconds) < offer.min_deliver_by)
      return never_here("5.4.7", "the host cannot deliver within the time that the sender asked for");
  }
  if (!fits_in_path(message_.sender)) return never("5.1.7", "the sender's address cannot be written in a command");
  return std::nullopt;
}

// RFC 6531 §3.2: without SMTPUTF8 a message may still go if nothing of it needs that.
net::asio::awaitable<std::optional<Verdict>> Shipment::check_header() {
  if (!is_ascii(message_.sender)) co_return never("5.6.7", "the host does not support SMTPUTF8, which the sender's address needs");
  auto octets = co_await read_all(*source_);
  if (!octets) co_return decided(Disposition::temporary, Scope::message, Stage::local, "4.3.0", "the message cannot be read now");
  if (message::has_eight_bit_header(*octets))
    co_return never("5.6.7", "the host does not support SMTPUTF8, which the message's header needs");
  co_return std::nullopt;
}

net::asio::awaitable<std::optional<Verdict>> Shipment::convert_content(Conversion conversion, Outcome& outcome) {
  auto octets = co_await read_all(*source_);
  if (!octets) co_return decided(Disposition::temporary, Scope::message, Stage::local, "4.3.0", "the message cannot be read now");
  auto work = [&]() -> Result<std::string> { return convert(*octets, conversion); };
  Result<std::string> result = std::string{};
  if (session_.options.workers != nullptr && octets->size() > kWorthAWorker)
    result = co_await session_.options.workers->run(work);
  else
    result = work();
  if (!result) {
    const auto& error = result.error();
    if (error.fault != Fault::refused)
      co_return decided(Disposition::temporary, Scope::message, Stage::local, "4.3.2", "too busy to convert the message");
    co_return never(error.code, "the host takes no 8-bit content, and the message cannot be converted: " + error.text);
  }
  outcome.converted = *result != *octets;
  octets_ = std::move(*result);
  source_ = &converted_.emplace(octets_);
  body_ = conversion == Conversion::to_seven_bit ? Body::seven_bit : Body::eight_bit;
  co_return std::nullopt;
}

bool Shipment::ascii_envelope() const {
  return is_ascii(message_.sender) &&
         std::ranges::all_of(message_.recipients, [](const OutboundRecipient& to) { return is_ascii(to.address); });
}

net::asio::awaitable<std::optional<Verdict>> Shipment::prepare(Outcome& outcome) {
  const auto& offer = session_.offer;
  if (auto refused = check_demands()) co_return refused;
  body_ = message_.body;
  const bool wants_utf8 = message_.smtputf8 || !ascii_envelope();
  smtputf8_ = wants_utf8 && offer.smtputf8;
  if (wants_utf8 && !smtputf8_) {
    if (auto refused = co_await check_header()) co_return refused;
  }
  if (const auto conversion = conversion_for(body_, offer); conversion != Conversion::none) {
    if (auto refused = co_await convert_content(conversion, outcome)) co_return refused;
  }
  if (offer.size && offer.max_size != 0 && source_->size() > offer.max_size)  // RFC 1870 §6.2
    co_return never("5.3.4", "the message is larger than the host takes: " + std::to_string(source_->size()) + " octets, at most " +
                                 std::to_string(offer.max_size));
  co_return std::nullopt;
}

void decide_all(Outcome& outcome, const Verdict& verdict) { std::ranges::fill(outcome.recipients, verdict); }

// Those whose addresses can be sent there; the others get their verdicts.
std::vector<std::uint32_t> deliverable(const OutboundMessage& message, const RemoteOffer& offer, Outcome& outcome) {
  std::vector<std::uint32_t> rest;
  for (std::uint32_t i = 0; i < message.recipients.size(); ++i) {
    const auto& address = message.recipients[i].address;
    const auto refuse = [&](std::string_view status, std::string text) {
      outcome.recipients[i] = decided(Disposition::permanent, Scope::recipient, Stage::local, status, std::move(text));
    };
    if (address.empty() || !fits_in_path(address))
      refuse("5.1.3", "the recipient's address cannot be written in a command");
    else if (!is_ascii(address) && !offer.smtputf8)
      refuse("5.6.7", "the host does not support SMTPUTF8, which the recipient's address needs");
    else
      rest.push_back(i);
  }
  return rest;
}

}  // namespace

net::asio::awaitable<Outcome> Client::Impl::send(const OutboundMessage& message) {
  Outcome outcome;
  outcome.recipients.resize(message.recipients.size());
  // Something said without being asked: "421 idle too long", before the end of the connection.
  if (usable && (!connection->buffered().empty() || !parser.idle())) {
    usable = false;
    gone = true;
  }
  if (!usable) {
    outcome.stale = true;
    decide_all(outcome, decided(Disposition::temporary, Scope::host, Stage::mail, "4.4.2", "the connection has ended"));
    co_return outcome;
  }
  Shipment shipment(*this, message);
  if (auto refused = co_await shipment.prepare(outcome)) {
    decide_all(outcome, *refused);
    outcome.usable = true;
    co_return outcome;
  }
  outcome.dsn_passed = offer.dsn;
  outcome.deliver_by_passed = message.deliver_by.has_value() && offer.deliver_by;
  auto rest = deliverable(message, offer, outcome);
  if (!rest.empty()) ++messages;
  const auto spent = [&] { return offer.max_messages != 0 && transactions >= offer.max_messages; };  // RFC 9422
  while (!rest.empty() && usable) {
    const auto count = offer.max_recipients == 0 ? rest.size() : std::min<std::size_t>(rest.size(), offer.max_recipients);
    const auto cargo = shipment.cargo();
    cargo.content->rewind();
    auto postponed = co_await Transaction(*this, message, cargo, std::span(rest).first(count), outcome).run();
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count));
    rest.insert(rest.end(), postponed.begin(), postponed.end());
    if (spent()) usable = false;
  }
  for (const auto recipient : rest) {
    auto& verdict = outcome.recipients[recipient];
    if (verdict.stage != Stage::local) continue;  // has one: "too many recipients", from the transaction before
    verdict = decided(Disposition::temporary, Scope::host, Stage::mail, "4.4.2", "the connection ended before this recipient's turn");
  }
  outcome.usable = usable;
  co_return outcome;
}

}  // namespace relais::smtp
