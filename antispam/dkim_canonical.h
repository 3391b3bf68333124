// The canonical forms of DKIM: what is hashed.
#pragma once

#include "antispam/message_view.h"
#include "message/header.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace relais::antispam {

enum class Canonical : std::uint8_t { simple, relaxed };

/// "relaxed/simple", "simple", "": header and body. nullopt where it is none. RFC 6376 §3.5 c=
struct Canonicals {
  Canonical header = Canonical::simple;
  Canonical body = Canonical::simple;
};
std::optional<Canonicals> parse_canonicals(std::string_view value);

/// Appends a field's canonical form with its CRLF.
/// @param raw  the whole field, with or without its line end.   RFC 6376 §3.4.1, §3.4.2
void append_canonical_field(std::string& out, Canonical form, std::string_view raw);

/// A SHA-256 over pieces. Not copyable; finish() once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  Sha256& operator=(Sha256&&) = delete;
  void update(std::string_view octets);
  std::string finish();  ///< 32 octets
  /// What is in it so far, as a new one.
  Sha256 fork() const;

 private:
  struct Adopt {};
  Sha256(Adopt, void* context) noexcept : context_(context) {}
  void* context_;  // EVP_MD_CTX
};

/// The hash of a body in canonical form, fed in any number of pieces cut anywhere. RFC 6376 §3.4.3, §3.4.4
class BodyHash {
 public:
  /// @param limit  l=: octets of the canonical form that count
  explicit BodyHash(Canonical form, std::optional<std::uint64_t> limit = std::nullopt);
  void update(std::string_view piece);
  /// @return 32 octets. Nothing may follow.
  std::string finish();
  /// Octets of the canonical form, beyond the limit too. After finish().
  std::uint64_t size() const noexcept { return size_; }

 private:
  void plain(std::string_view run);
  void emit(std::string_view octets);
  void flush();

  const Canonical form_;
  const std::optional<std::uint64_t> limit_;
  Sha256 hash_;
  std::string buffer_;
  std::uint64_t size_ = 0;
  std::uint64_t line_ends_ = 0;  ///< CRLFs not yet emitted: they may be at the end
  bool space_ = false;           ///< relaxed: white space not yet emitted: it may be at the end of a line
  bool cr_ = false;              ///< the last octet was CR
  bool any_ = false;             ///< something was emitted
};

/// Hash of a whole body.
std::string body_hash(Canonical form, std::span<const std::string_view> body);

/// The fields of a header, to be picked as h= says.
/// Lifetime: views of the header.
class HeaderFields {
 public:
  static constexpr std::size_t kMaxFields = 1'000;                 ///< more cannot be signed or verified
  static constexpr std::size_t kMaxOctets = std::size_t{1} << 20;  ///< of the header; likewise

  explicit HeaderFields(std::string_view header);
  /// In message order; lines that are none left out.
  const std::vector<message::Field>& all() const noexcept { return fields_; }
  bool too_many() const noexcept { return too_many_; }
  /// A CR or LF that stands alone in a field: where its line ends is read in more than one way, and SMTP passes no such message on (RFC
  /// 5321 §2.3.8).
  bool lone_line_ends() const noexcept { return lone_line_ends_; }
  /// RFC 6376 §5.4.2: each name takes the lowest field of it that no earlier one took; a name without any is skipped. Linear.
  std::vector<const message::Field*> select(std::span<const std::string_view> names) const;
  /// How many fields of that name there are.
  std::size_t count(std::string_view name) const;

 private:
  std::vector<message::Field> fields_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> by_name_;  ///< lower case; positions, ascending
  bool too_many_ = false;
  bool lone_line_ends_ = false;
};

/// Names of the fields that our signatures cover, "h=" of DKIM and ARC: each of the header's fields that shall be signed, by name as often
/// as it occurs, and once more those that must not be added. RFC 6376 §5.4, §8.15
std::vector<std::string> names_to_sign(const HeaderFields& fields);
/// Whether fields of the name are signed.
bool is_signed_field(std::string_view name) noexcept;
/// Those that are signed once more than they occur.
std::span<const std::string_view> oversigned_fields() noexcept;

}  // namespace relais::antispam
