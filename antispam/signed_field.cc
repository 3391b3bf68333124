// Folds a field and puts its signature in.
#include "antispam/signed_field.h"

#include "base/encode.h"

namespace relais::antispam {
namespace {

constexpr std::size_t kMargin = 78;  // columns of a line

}  // namespace

FoldedField& FoldedField::piece(std::string_view piece) {
  if (column_ + 1 + piece.size() > kMargin)
    fold();
  else
    text_ += ' ', ++column_;
  return join(piece);
}

FoldedField& FoldedField::join(std::string_view piece) {
  text_ += piece;
  column_ += piece.size();
  return *this;
}

FoldedField& FoldedField::breakable(std::string_view text) {
  while (!text.empty()) {
    if (column_ >= kMargin) fold();
    const auto part = text.substr(0, kMargin - column_);
    join(part);
    text.remove_prefix(part.size());
  }
  return *this;
}

FoldedField& FoldedField::list(std::span<const std::string> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (column_ + names[i].size() + 1 > kMargin) fold();
    join(names[i]).join(i + 1 < names.size() ? ":" : ";");
  }
  return *this;
}

void FoldedField::fold() {
  text_ += "\r\n\t";
  column_ = 8;
}

FoldedField& FoldedField::tags_of(const DkimKey& key, std::int64_t now) {
  return piece("d=" + key.domain + ";").piece("s=" + key.selector + ";").piece("t=" + std::to_string(now) + ";");
}

std::string algorithm_tag(const DkimKey& key) { return "a=" + std::string(to_string(key.algorithm)) + ";"; }

Result<void> sign_message(FoldedField& field, const DkimKey& key, EVP_PKEY& secret, const HeaderFields& fields,
                          std::span<const std::string> names, std::span<const std::string_view> body, std::int64_t now) {
  field.piece(algorithm_tag(key)).piece("c=relaxed/relaxed;").tags_of(key, now);
  field.piece("h=").list(names).piece("bh=").breakable(to_base64(body_hash(Canonical::relaxed, body))).join(";").piece("b=");
  const std::vector<std::string_view> wanted(names.begin(), names.end());
  std::string covered;
  for (const auto* one : fields.select(wanted)) append_canonical_field(covered, Canonical::relaxed, one->raw);
  Sha256 hash;
  hash.update(covered);
  return sign_field(field, secret, key.algorithm, std::move(hash));
}

Result<void> sign_field(FoldedField& field, EVP_PKEY& key, DkimKey::Algorithm algorithm, Sha256 hash) {
  std::string text;
  append_canonical_field(text, Canonical::relaxed, field.text());
  text.resize(text.size() - 2);
  hash.update(text);
  RELAIS_TRY(const auto signature, sign_digest(key, algorithm, hash.finish()));
  field.breakable(to_base64(signature));
  return {};
}

}  // namespace relais::antispam
