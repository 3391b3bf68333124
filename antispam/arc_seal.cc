// Writes ARC sets.
#include "antispam/arc_seal.h"

#include "antispam/arc_sets.h"
#include "antispam/dkim_crypto.h"
#include "antispam/signed_field.h"
#include "base/ascii.h"
#include "base/clock.h"

#include <algorithm>

namespace relais::antispam {
namespace {

constexpr std::size_t kMaxResults = 32 * 1024;  // octets

/// Whatever the results say, they are one field: no line ends or other controls.
std::string clean(std::string_view text) {
  std::string out(text.substr(0, kMaxResults));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }, ' ');
  return out;
}

FoldedField results_field(const std::string& instance, std::string_view results) {
  FoldedField field(kArcResults);
  field.piece(instance);
  const auto text = clean(results);
  for (const auto word : split(text, ' ')) {
    if (!word.empty()) field.piece(word);
  }
  return field;
}

}  // namespace

Result<std::string> arc_seal(const DkimKey& key, const MessageView& message, const ArcChain& chain, std::string_view results,
                             const DkimSignOptions& options) {
  if (!chain.sealable || chain.instances >= kMaxArcSets) return std::string();
  const HeaderFields fields(message.header);
  if (fields.count("From") == 0) return fail(Fault::refused, "a message without From can't be sealed");
  if (fields.too_many()) return fail(Fault::refused, "a message with so many header fields can't be sealed");
  if (fields.lone_line_ends()) return fail(Fault::refused, "a message with stray line ends in its header can't be sealed");
  RELAIS_TRY(const auto secret, read_private_key(key.private_key, key.algorithm));
  const auto now = options.now ? *options.now : system_clock().seconds();
  const auto instance = "i=" + std::to_string(chain.instances + 1) + ";";

  const auto results_text = results_field(instance, results);

  // RFC 8617 §4.1.2: the message's fields and its DKIM signatures, never Authentication-Results or ARC fields.
  auto names = names_to_sign(fields);
  for (std::size_t i = fields.count("DKIM-Signature"); i > 0; --i) names.emplace_back("dkim-signature");
  FoldedField signature(kArcSignature);
  signature.piece(instance);
  RELAIS_TRY_VOID(sign_message(signature, key, *secret, fields, names, message.body, now));

  FoldedField seal(kArcSeal);
  seal.piece(instance).piece(algorithm_tag(key)).piece("cv=" + std::string(to_string(chain.status)) + ";").tags_of(key, now).piece("b=");
  std::string sealed;
  // §5.1.2: a broken chain has no order that could be signed; then our set stands alone.
  if (chain.status == ArcChain::Status::pass) {
    const auto before = read_arc_sets(fields);
    if (!before.fault.empty() || before.sets.size() != chain.instances)
      return fail(Fault::refused, "the ARC chain is not that of the message");
    for (const auto& set : before.sets) {
      append_canonical_field(sealed, Canonical::relaxed, set.results);
      append_canonical_field(sealed, Canonical::relaxed, set.signature);
      append_canonical_field(sealed, Canonical::relaxed, set.seal);
    }
  }
  append_canonical_field(sealed, Canonical::relaxed, results_text.text());
  append_canonical_field(sealed, Canonical::relaxed, signature.text());
  Sha256 seal_hash;
  seal_hash.update(sealed);
  RELAIS_TRY_VOID(sign_field(seal, *secret, key.algorithm, std::move(seal_hash)));
  return seal.text() + "\r\n" + signature.text() + "\r\n" + results_text.text() + "\r\n";
}

}  // namespace relais::antispam
