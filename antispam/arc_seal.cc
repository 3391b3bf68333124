// Writes ARC sets.
#include "antispam/arc_seal.h"

#include "antispam/arc_sets.h"
#include "antispam/dkim_crypto.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/encode.h"

#include <algorithm>

namespace relais::antispam {
namespace {

constexpr std::size_t kMargin = 78;             // columns of a line: RFC 5322 §2.1.1
constexpr std::size_t kMaxResults = 32 * 1024;  // octets

/// A field of ours that is folded as it grows.
class Folded {
 public:
  explicit Folded(std::string_view name) : text_(name), column_(name.size() + 1) { text_ += ':'; }

  /// A piece that is not broken, with a space or a fold before it.
  Folded& piece(std::string_view piece) {
    if (column_ + 1 + piece.size() > kMargin)
      fold();
    else
      text_ += ' ', ++column_;
    return join(piece);
  }
  /// Right behind what there is.
  Folded& join(std::string_view piece) {
    text_ += piece;
    column_ += piece.size();
    return *this;
  }
  /// Text that may be broken anywhere, as base64 may.
  Folded& breakable(std::string_view text) {
    while (!text.empty()) {
      if (column_ >= kMargin) fold();
      const auto part = text.substr(0, kMargin - column_);
      join(part);
      text.remove_prefix(part.size());
    }
    return *this;
  }
  /// "a:b:c", broken behind colons.
  Folded& list(std::span<const std::string> names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (column_ + names[i].size() + 1 > kMargin) fold();
      join(names[i]).join(i + 1 < names.size() ? ":" : ";");
    }
    return *this;
  }
  const std::string& text() const noexcept { return text_; }

 private:
  void fold() {
    text_ += "\r\n\t";
    column_ = 8;
  }
  std::string text_;
  std::size_t column_;
};

/// Whatever the results say, they are one field: no line ends or other controls.
std::string clean(std::string_view text) {
  std::string out(text.substr(0, kMaxResults));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }, ' ');
  return out;
}

Folded results_field(const std::string& instance, std::string_view results) {
  Folded field(kArcResults);
  field.piece(instance);
  const auto text = clean(results);
  for (const auto word : split(text, ' ')) {
    if (!word.empty()) field.piece(word);
  }
  return field;
}

/// Signs what was hashed and puts the result into the field's b=.
Result<void> sign(Folded& field, EVP_PKEY& key, DkimKey::Algorithm algorithm, Sha256 hash) {
  std::string text;
  append_canonical_field(text, Canonical::relaxed, field.text());
  text.resize(text.size() - 2);
  hash.update(text);
  RELAIS_TRY(const auto signature, sign_digest(key, algorithm, hash.finish()));
  field.breakable(to_base64(signature));
  return {};
}

void common_tags(Folded& field, const DkimKey& key, std::int64_t now) {
  field.piece("d=" + key.domain + ";").piece("s=" + key.selector + ";").piece("t=" + std::to_string(now) + ";");
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
  const auto algorithm = "a=" + std::string(to_string(key.algorithm)) + ";";

  const auto results_text = results_field(instance, results);

  // RFC 8617 §4.1.2: the message's fields and its DKIM signatures, never Authentication-Results or ARC fields.
  auto names = names_to_sign(fields);
  for (std::size_t i = fields.count("DKIM-Signature"); i > 0; --i) names.emplace_back("dkim-signature");
  Folded signature(kArcSignature);
  signature.piece(instance).piece(algorithm).piece("c=relaxed/relaxed;");
  common_tags(signature, key, now);
  signature.piece("h=").list(names).piece("bh=").breakable(to_base64(body_hash(Canonical::relaxed, message.body))).join(";").piece("b=");
  const std::vector<std::string_view> wanted(names.begin(), names.end());
  std::string covered;
  for (const auto* field : fields.select(wanted)) append_canonical_field(covered, Canonical::relaxed, field->raw);
  Sha256 signature_hash;
  signature_hash.update(covered);
  RELAIS_TRY_VOID(sign(signature, *secret, key.algorithm, std::move(signature_hash)));

  Folded seal(kArcSeal);
  seal.piece(instance).piece(algorithm).piece("cv=" + std::string(to_string(chain.status)) + ";");
  common_tags(seal, key, now);
  seal.piece("b=");
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
  RELAIS_TRY_VOID(sign(seal, *secret, key.algorithm, std::move(seal_hash)));
  return seal.text() + "\r\n" + signature.text() + "\r\n" + results_text.text() + "\r\n";
}

}  // namespace relais::antispam
