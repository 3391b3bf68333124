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
