// Fields that carry a signature of ours: DKIM's and ARC's.
#pragma once

#include "antispam/dkim_canonical.h"
#include "antispam/dkim_crypto.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace relais::antispam {

/// A field of ours that is folded as it grows: no line is longer than 78 columns (RFC 5322 §2.1.1) where its pieces let it.
class FoldedField {
 public:
  explicit FoldedField(std::string_view name) : text_(name), column_(name.size() + 1) { text_ += ':'; }

  /// A piece that is not broken, with a space or a fold before it.
  FoldedField& piece(std::string_view piece);
  /// Right behind what there is.
  FoldedField& join(std::string_view piece);
  /// Text that may be broken anywhere, as base64 may.
  FoldedField& breakable(std::string_view text);
  /// "a:b:c;", broken behind colons.
  FoldedField& list(std::span<const std::string> names);
  /// d=, s= and t=
  FoldedField& tags_of(const DkimKey& key, std::int64_t now);
  /// Without its last line end.
  const std::string& text() const noexcept { return text_; }

 private:
  void fold();
  std::string text_;
  std::size_t column_;
};

/// "a=rsa-sha256;"
std::string algorithm_tag(const DkimKey& key);

/// Appends all tags of a signature over a message, relaxed/relaxed, to a field that has the one that makes it DKIM's (v=) or ARC's (i=).
/// @param names  h=: the fields to sign; more than there are of a name say that there is no other   @param now  t=
/// @return Fault::corrupt where OpenSSL refuses
Result<void> sign_message(FoldedField& field, const DkimKey& key, EVP_PKEY& secret, const HeaderFields& fields,
                          std::span<const std::string> names, std::span<const std::string_view> body, std::int64_t now);

/// Signs what was hashed and the field itself, whose empty "b=" stands last, and fills that in.   RFC 6376 §3.7, RFC 8617 §5.1
/// @param hash  of all that the signature covers before the field
/// @return Fault::corrupt where OpenSSL refuses
Result<void> sign_field(FoldedField& field, EVP_PKEY& key, DkimKey::Algorithm algorithm, Sha256 hash);

}  // namespace relais::antispam
