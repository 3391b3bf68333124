// Writes the commands that a client sends.
#include "smtp/proto/client_command.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "smtp/proto/path.h"

#include <algorithm>

namespace relais::smtp {
namespace {

Result<void> append_path(std::string& out, std::string_view verb, std::string_view path, std::string_view status) {
  if (!fits_in_path(path)) return fail(Fault::refused, "the address cannot be written in a command", status);
  out.append(verb).append("<").append(path).append(">");
  return {};
}

std::string_view body_name(Body body) {
  switch (body) {
    case Body::seven_bit: return {};
    case Body::eight_bit: return " BODY=8BITMIME";
    case Body::binary: return " BODY=BINARYMIME";
  }
  return {};
}

}  // namespace

// Octets from a client's session, or from a database, stay within their path.
bool fits_in_path(std::string_view path) noexcept {
  bool quoted = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto octet = static_cast<unsigned char>(path[i]);
    if (octet < 32 || octet == 127) return false;
    if (quoted && path[i] == '\\') {
      if (++i == path.size() || static_cast<unsigned char>(path[i]) < 32) return false;
    } else if (path[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (path[i] == '<' || path[i] == '>' || path[i] == ' ')) {
      return false;
    }
  }
  return !quoted;
}

Result<void> append_mail(std::string& out, const MailCommand& command, const RemoteOffer& offer) {
  RELAIS_TRY_VOID(append_path(out, "MAIL FROM:", command.sender, "5.1.7"));
  if (offer.size && command.size != 0) append_number(out += " SIZE=", command.size);  // RFC 1870 §6
  if (command.body == Body::binary ? offer.binary_mime && offer.chunking : offer.eight_bit_mime) out += body_name(command.body);
  if (offer.smtputf8 && command.smtputf8) out += " SMTPUTF8";
  if (offer.dsn) {
    if (command.ret != Ret::unset) out.append(" RET=").append(to_string(command.ret));
    if (!command.envelope_id.empty()) out.append(" ENVID=").append(encode_xtext(command.envelope_id));
  }
  if (offer.deliver_by && command.deliver_by) out.append(" BY=").append(to_string(*command.deliver_by));
  if (offer.mt_priority && command.priority) out.append(" MT-PRIORITY=").append(std::to_string(std::clamp(*command.priority, -9, 9)));
  if (offer.require_tls && command.require_tls) out += " REQUIRETLS";
  out += "\r\n";
  return {};
}

Result<void> append_rcpt(std::string& out, const RcptCommand& command, const RemoteOffer& offer) {
  RELAIS_TRY_VOID(append_path(out, "RCPT TO:", command.recipient, "5.1.3"));
  if (offer.dsn) {
    if (command.notify.given()) out.append(" NOTIFY=").append(to_string(command.notify));
    if (command.original != nullptr && !command.original->empty()) {
      // One that is too long, or whose type is no word, is left out: the address itself matters more.
      if (const auto original = to_string(*command.original);
          original.size() <= kMaxOriginalRecipient && parse_original_recipient(original))
        out.append(" ORCPT=").append(original);
    }
  }
  out += "\r\n";
  return {};
}

Result<void> append_hello(std::string& out, std::string_view verb, std::string_view name) {
  const bool fine = !name.empty() && std::ranges::all_of(name, [](char c) { return c > 32 && c < 127; });
  if (!fine) return fail(Fault::refused, "our host name cannot be written in a command", "5.5.4");
  out.append(verb).append(" ").append(name).append("\r\n");
  return {};
}

void append_bdat(std::string& out, std::uint64_t size, bool last) {
  append_number(out += "BDAT ", size);
  out += last ? " LAST\r\n" : "\r\n";
}

void append_auth(std::string& out, std::string_view mechanism, std::optional<std::string_view> initial_response) {
  out.append("AUTH ").append(mechanism);
  if (initial_response) (out += ' ') += initial_response->empty() ? "=" : to_base64(*initial_response);
  out += "\r\n";
}

bool append_xclient(std::string& out, XclientAttributes attributes, const RemoteOffer& offer) {
  bool any = false;
  for (const auto& [name, value] : attributes) {
    if (!offer.takes_xclient(name)) continue;
    if (!any) out += "XCLIENT";
    any = true;
    out.append(" ").append(to_upper(name)).append("=").append(value.empty() ? "[UNAVAILABLE]" : encode_xtext(value));
  }
  if (any) out += "\r\n";
  return any;
}

}  // namespace relais::smtp
