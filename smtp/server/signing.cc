// Signatures are made by workers: an RSA one takes about a millisecond.
#include "smtp/server/signing.h"

#include "antispam/arc_seal.h"
#include "antispam/arc_verify.h"
#include "antispam/authentication_results.h"
#include "antispam/dkim_sign.h"
#include "antispam/dkim_verify.h"
#include "base/ascii.h"
#include "base/log.h"
#include "message/downgrade.h"
#include "message/header.h"

#include <algorithm>
#include <array>

namespace relais::smtp {
namespace {

bool is_signed(std::string_view header) {
  bool found = false;
  message::for_each_field(header, [&](const message::Field& field) {
    found = found || iequals(field.name, "DKIM-Signature") || iequals(field.name, "ARC-Seal");
  });
  return found;
}

// The message with nothing in it that a host may make us change; empty where it is that already, or can't be.
std::string converted(const ToSign& message) {
  if (!message.binary && is_ascii(message.content)) return {};
  if (is_signed(message.content.substr(0, message::header_end(message.content)))) return {};
  // Who takes UTF-8 in the header takes 8-bit content too: RFC 6531 §3.1 (7).
  const bool keep_header = message.smtputf8 && message::has_eight_bit_header(message.content);
  if (keep_header && !message.binary) return {};
  auto result = keep_header ? message::to_eight_bit(message.content) : message::to_seven_bit(message.content);
  if (!result || *result == message.content) return {};
  return std::move(*result);
}

void complain(std::string_view what, const std::string& domain, const Error& why) {
  const auto level = why.fault == Fault::corrupt ? log::Level::error : log::Level::warning;
  log::event(level, what, {{"domain", domain}, {"reason", why.text}, {"detail", why.detail}});
}

}  // namespace

net::asio::awaitable<std::vector<directory::DkimKey>> Signing::active_keys(std::string domain) {
  auto keys = co_await directory_.dkim_keys(domain);
  if (!keys) {
    complain("keys unreadable", domain, keys.error());
    co_return std::vector<directory::DkimKey>{};
  }
  std::erase_if(*keys, [](const directory::DkimKey& key) { return key.state != directory::DkimKey::State::active; });
  co_return std::move(*keys);
}

net::asio::awaitable<Signatures> Signing::sign(std::string domain, ToSign message) {
  const auto keys = co_await active_keys(domain);
  if (keys.empty()) co_return Signatures{};
  const antispam::DkimSignOptions options{.now = clock_.seconds()};
  auto job = [&]() -> Result<Signatures> {
    Signatures out{.content = converted(message)};
    const auto text = out.content.empty() ? message.content : std::string_view(out.content);
    const auto end = message::header_end(text);
    const std::array pieces{text.substr(end)};
    RELAIS_TRY(out.fields, antispam::dkim_sign(keys, {text.substr(0, end), pieces}, options));
    return out;
  };
  auto signatures = co_await workers_.run(std::move(job));
  if (!signatures) {
    complain("not signed", domain, signatures.error());
    co_return Signatures{};
  }
  co_return std::move(*signatures);
}

net::asio::awaitable<std::string> Signing::seal(std::string domain, std::string_view header, std::string_view body) {
  const auto keys = co_await active_keys(domain);
  // RFC 8617 §4.1.3 knows rsa-sha256 alone; one set has one signature.
  const auto key = std::ranges::find(keys, directory::DkimKey::Algorithm::rsa_sha256, &directory::DkimKey::algorithm);
  if (key == keys.end()) co_return std::string();
  const std::array pieces{body};
  const antispam::MessageView view{header, pieces};
  const auto chain = co_await antispam::arc_verify(resolver_, workers_, view, clock_.seconds());
  const auto signatures = co_await antispam::dkim_verify(resolver_, workers_, view, clock_.seconds());
  if (!chain || !signatures) {
    complain("not sealed", domain, chain ? signatures.error() : chain.error());
    co_return std::string();
  }
  const auto results = antispam::authentication_results(hostname_, *signatures, *chain);
  const antispam::DkimSignOptions options{.now = clock_.seconds()};
  auto job = [&] { return antispam::arc_seal(*key, view, *chain, results, options); };
  auto fields = co_await workers_.run(std::move(job));
  if (!fields) {
    complain("not sealed", domain, fields.error());
    co_return std::string();
  }
  co_return std::move(*fields);
}

}  // namespace relais::smtp
