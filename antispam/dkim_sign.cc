// Signs with RSA by libopendkim, with Ed25519 by OpenSSL.
#include "antispam/dkim_sign.h"

#include "antispam/dkim_canonical.h"
#include "antispam/dkim_crypto.h"
#include "antispam/opendkim.h"
#include "antispam/signed_field.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/clock.h"
#include "directory/digest.h"
#include "message/line_end.h"

#include <openssl/err.h>

#include <algorithm>

namespace relais::antispam {
namespace {

constexpr std::string_view kFieldName = "DKIM-Signature: ";

/// @param now  t=, for tests; nothing: the clock, at each signature
DkimLibrary make_library(std::optional<std::int64_t> now) {
  DkimLibrary library(::dkim_init(nullptr, nullptr));
  RELAIS_CHECK(library != nullptr);
  std::vector<const char*> names;
  for (const auto name : oversigned_fields()) names.push_back(name.data());  // literals: they end with NUL
  names.push_back(nullptr);
  RELAIS_CHECK(::dkim_options(library.get(), DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS, names.data(), sizeof(unsigned char**)) ==
               DKIM_STAT_OK);
  if (now) {
    auto time = static_cast<std::uint64_t>(*now);
    RELAIS_CHECK(::dkim_options(library.get(), DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &time, sizeof time) == DKIM_STAT_OK);
  }
  return library;
}

DKIM_LIB* shared_library() {
  // Many threads may use it once it is made. Not freed at the end: OpenSSL, which that would call, may be gone by then.
  static DKIM_LIB* const library = make_library(std::nullopt).release();
  return library;
}

std::unexpected<Error> failed(DKIM* handle, DKIM_STAT status, std::string_view step) {
  std::string detail = "dkim: " + std::string(step) + ": " + ::dkim_getresultstr(status);
  if (const auto* text = handle == nullptr ? nullptr : ::dkim_geterror(handle); text != nullptr) detail.append(": ").append(text);
  ERR_clear_error();
  return fail(status == DKIM_STAT_NORESOURCE && handle == nullptr ? Fault::temporary : Fault::corrupt, "the message can't be signed", "",
              detail);
}

Result<std::string> sign_with(DKIM_LIB* library, const DkimKey& key, std::span<const message::Field* const> fields,
                              std::span<const std::string_view> body) {
  // The library would keep the memory of a key that it then refuses.
  RELAIS_TRY_VOID(read_private_key(key.private_key, key.algorithm));
  auto pem = key.private_key;
  const directory::Wiper wiper(pem);
  DKIM_STAT status = DKIM_STAT_OK;
  const DkimHandle handle(::dkim_sign(library, dkim_text("relais"), nullptr, dkim_text(pem), dkim_text(key.selector), dkim_text(key.domain),
                                      DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, -1, &status));
  if (!handle) return failed(nullptr, status, "dkim_sign");
  for (const auto* field : fields) {
    const auto text = message::without_line_end(field->raw);
    status = ::dkim_header(handle.get(), dkim_text(text), text.size());
    if (status != DKIM_STAT_OK) return failed(handle.get(), status, "dkim_header");
  }
  status = ::dkim_eoh(handle.get());
  if (status != DKIM_STAT_OK) return failed(handle.get(), status, "dkim_eoh");
  status = feed_body(handle.get(), body);
  if (status != DKIM_STAT_OK) return failed(handle.get(), status, "dkim_body");
  status = ::dkim_eom(handle.get(), nullptr);
  if (status != DKIM_STAT_OK) return failed(handle.get(), status, "dkim_eom");
  unsigned char* value = nullptr;
  std::size_t size = 0;
  status = ::dkim_getsighdr_d(handle.get(), kFieldName.size(), &value, &size);
  if (status != DKIM_STAT_OK || value == nullptr) return failed(handle.get(), status, "dkim_getsighdr");
  ERR_clear_error();
  std::string out(kFieldName);
  out.append(reinterpret_cast<const char*>(value), size).append("\r\n");
  return out;
}

// RFC 8463. Ours, because libopendkim (2.11.0-beta2) keeps half a kilobyte of memory for ever with each Ed25519 signature that it makes.
Result<std::string> sign_ed25519(const DkimKey& key, const HeaderFields& header, std::span<const std::string_view> body, std::int64_t now) {
  RELAIS_TRY(const auto secret, read_private_key(key.private_key, key.algorithm));
  FoldedField field("DKIM-Signature");
  field.piece("v=1;");
  RELAIS_TRY_VOID(sign_message(field, key, *secret, header, names_to_sign(header), body, now));
  return field.text() + "\r\n";
}

}  // namespace

Result<std::string> dkim_sign(std::span<const DkimKey> keys, const MessageView& message, const DkimSignOptions& options) {
  std::string out;
  if (std::ranges::none_of(keys, [](const DkimKey& key) { return key.state == DkimKey::State::active; })) return out;
  const HeaderFields header(message.header);
  if (header.count("From") == 0) return fail(Fault::refused, "a message without From can't be signed");
  if (header.too_many()) return fail(Fault::refused, "a message with so many header fields can't be signed");
  // The library sees the fields that are signed, and no others: then it has nothing to choose.
  std::vector<const message::Field*> fields;
  std::size_t names = 0;
  for (const auto& field : header.all()) {
    if (!is_signed_field(field.name)) continue;
    if (field.raw.size() > kMaxDkimField || field.raw.contains('\0'))
      return fail(Fault::refused, "a message with such header fields can't be signed");
    names += field.name.size() + 1;
    fields.push_back(&field);
  }
  // It would cut the list of names, sign less, and still name the rest as absent.
  if (names > kMaxDkimNames) return fail(Fault::refused, "a message with so many header fields can't be signed");
  const auto own = options.now ? make_library(options.now) : DkimLibrary{};
  for (const auto& key : keys) {
    if (key.state != DkimKey::State::active) continue;
    if (key.algorithm == DkimKey::Algorithm::ed25519_sha256) {
      RELAIS_TRY(const auto signature, sign_ed25519(key, header, message.body, options.now ? *options.now : system_clock().seconds()));
      out += signature;
      continue;
    }
    RELAIS_TRY(const auto signature, sign_with(own ? own.get() : shared_library(), key, fields, message.body));
    out += signature;
  }
  return out;
}

}  // namespace relais::antispam
