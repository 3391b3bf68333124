// Verifies with libopendkim. What the library gets to see was checked before: it is old C, and this is where strangers' octets meet it.
#include "antispam/dkim_verify.h"

#include "antispam/dkim_canonical.h"
#include "antispam/dkim_crypto.h"
#include "antispam/dkim_tags.h"
#include "antispam/key_lookup.h"
#include "antispam/opendkim.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/random.h"
#include "message/address.h"
#include "message/line_end.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace relais::antispam {
namespace {

using Outcome = DkimResult::Outcome;

constexpr std::size_t kMaxNames = 200;        // in h=
constexpr std::size_t kMaxTimeDigits = 12;    // RFC 6376 §3.5 t=
constexpr std::uint32_t kMinRsaBits = 1'024;  // RFC 8301 §3.2
constexpr std::int64_t kClockSkew = 300;      // seconds; as the library's

/// A signature field, read by us. `result.reason` is set where there is nothing for the library to do.
struct Candidate {
  DkimResult result;
  bool run = false;
};

void decide(Candidate& candidate, Outcome outcome, std::string_view reason) {
  candidate.result.outcome = outcome;
  candidate.result.reason = reason;
}

std::optional<std::int64_t> read_time(std::string_view text) {
  if (text.empty() || text.size() > kMaxTimeDigits) return std::nullopt;
  const auto number = parse_u64(text);
  if (!number) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

bool is_plain_domain(std::string_view domain) {
  const auto name = message::to_ascii_domain(domain);
  return name && iequals(*name, domain);
}

/// i= must be of d= or below it: RFC 6376 §3.5.
bool identity_fits(std::string_view identity, std::string_view domain) {
  const auto at = identity.rfind('@');
  if (at == std::string_view::npos) return false;
  const auto host = identity.substr(at + 1);
  if (iequals(host, domain)) return true;
  return host.size() > domain.size() + 1 && host[host.size() - domain.size() - 1] == '.' &&
         iequals(host.substr(host.size() - domain.size()), domain);
}

bool times_fit(const TagList& tags, std::int64_t now, Candidate& candidate) {
  const auto signed_text = tags.find("t");
  const auto expires_text = tags.find("x");
  const auto signed_at = signed_text ? read_time(*signed_text) : std::nullopt;
  const auto expires = expires_text ? read_time(*expires_text) : std::nullopt;
  if ((signed_text && !signed_at) || (expires_text && !expires))
    decide(candidate, Outcome::neutral, "the signature's times can't be read");
  else if (signed_at && expires && *expires <= *signed_at)
    decide(candidate, Outcome::neutral, "the signature expires before it was made");
  else if (expires && now >= *expires + kClockSkew)
    decide(candidate, Outcome::fail, "the signature has expired");
  else if (signed_at && *signed_at > now + kClockSkew)
    decide(candidate, Outcome::fail, "the signature is of the future");
  else
    return true;
  return false;
}

/// RFC 6376 §6.1.1. @return whether all required tags are there and make sense
bool tags_fit(const TagList& tags, Candidate& candidate) {
  for (const auto* name : {"v", "a", "b", "bh", "d", "h", "s"}) {
    if (tags.get(name).empty()) {
      decide(candidate, Outcome::neutral, std::string("the signature has no ") + name + "=");
      return false;
    }
  }
  auto& result = candidate.result;
  const auto names = colon_list(tags.get("h"));
  const auto from = [](std::string_view name) { return iequals(name, "from"); };
  const auto length = tags.find("l");
  if (tags.get("v") != "1")
    decide(candidate, Outcome::neutral, "the signature is of an unknown version");
  else if (!is_plain_domain(result.domain) || !is_plain_domain(result.selector))
    decide(candidate, Outcome::neutral, "the signature's domain or selector is none");
  else if (!identity_fits(result.identity, result.domain))
    decide(candidate, Outcome::neutral, "the signature's i= is not of its domain");
  else if (names.size() > kMaxNames || tags.get("h").size() > kMaxDkimNames)
    decide(candidate, Outcome::neutral, "the signature covers too many fields");
  else if (std::ranges::none_of(names, from))
    decide(candidate, Outcome::neutral, "the signature doesn't cover From");
  else if (!parse_canonicals(tags.get("c")))
    decide(candidate, Outcome::neutral, "the signature's canonical form is unknown");
  else if (length && (length->size() > 18 || !parse_u64(*length)))
    decide(candidate, Outcome::neutral, "the signature's l= is no number");
  else if (!from_base64(without_space(tags.get("b"))) || !from_base64(without_space(tags.get("bh"))))
    decide(candidate, Outcome::neutral, "the signature is not base64");
  else if (result.algorithm == "rsa-sha1")
    decide(candidate, Outcome::policy, "SHA-1 proves nothing");  // RFC 8301 §3.1
  else if (result.algorithm != "rsa-sha256" && result.algorithm != "ed25519-sha256")
    decide(candidate, Outcome::neutral, "the signature's algorithm is unknown");
  else
    return true;
  return false;
}

Candidate read_candidate(const message::Field& field, std::int64_t now) {
  Candidate candidate;
  auto& result = candidate.result;
  const auto tags = TagList::parse(field.value);
  if (!tags) {
    decide(candidate, Outcome::neutral, "the signature is malformed");
    return candidate;
  }
  result.domain = to_lower(tags->get("d"));
  result.selector = to_lower(tags->get("s"));
  result.algorithm = tags->get("a");
  result.identity = tags->has("i") ? without_space(tags->get("i")) : "@" + result.domain;
  result.signature = without_space(tags->get("b")).substr(0, 8);
  if (field.raw.size() > kMaxDkimField || !is_ascii(field.raw))
    decide(candidate, Outcome::neutral, "the signature is too long, or not in US-ASCII");
  else
    candidate.run = tags_fit(*tags, candidate) && times_fit(*tags, now, candidate);
  return candidate;
}

/// Octets that l= leaves out may be anybody's: RFC 6376 §8.2.
bool covers_body(const message::Field& field, std::span<const std::string_view> body) {
  const auto tags = TagList::parse(field.value);
  if (!tags || !tags->has("l")) return true;
  const auto forms = parse_canonicals(tags->get("c"));
  const auto limit = parse_u64(tags->get("l"));
  if (!forms || !limit) return true;
  BodyHash measure(forms->body, 0);
  for (const auto piece : body) measure.update(piece);
  static_cast<void>(measure.finish());
  return *limit >= measure.size();
}

/// One message in the library's hands, from its header to its results.
class Verification {
 public:
  Verification(MessageView message, std::int64_t now) : message_(message), now_(now), header_(message.header) {}

  /// Reads the signatures and begins. Worker.
  void begin() {
    for (const auto& field : header_.all()) {
      if (!iequals(field.name, "DKIM-Signature") || candidates_.size() == kMaxDkimSignatures) continue;
      candidates_.push_back(read_candidate(field, now_));
      fields_.push_back(&field);
    }
    if (const auto why = unfit(); !why.empty()) {
      for (auto& candidate : candidates_) stop(candidate, Outcome::permerror, why);
    }
    if (std::ranges::none_of(candidates_, &Candidate::run)) return;
    start_library();
    if (handle_) header_done();
  }

  /// Names of keys that must be asked for before finish(); empty: none.
  std::vector<std::string> wanted() const {
    std::vector<std::string> names;
    for (const auto& candidate : candidates_) {
      if (candidate.run && waiting_) names.push_back(key_name(candidate.result.selector, candidate.result.domain));
    }
    return names;
  }

  /// Worker.
  std::vector<DkimResult> finish(FoundKeys keys) {
    keys_ = std::move(keys);
    if (waiting_) header_done();
    if (handle_) body_done();
    std::vector<DkimResult> results;
    for (auto& candidate : candidates_) results.push_back(std::move(candidate.result));
    ERR_clear_error();
    return results;
  }

 private:
  static DKIM_LIB* library() {
    // Not freed at the end: OpenSSL, which that would call, may be gone by then.
    static DKIM_LIB* const shared = [] {
      DkimLibrary made(::dkim_init(nullptr, nullptr));
      RELAIS_CHECK(made != nullptr);
      std::uint32_t flags = DKIM_LIBFLAGS_BADSIGHANDLES;  // a handle for each field, so that they can be counted along with ours
      RELAIS_CHECK(::dkim_options(made.get(), DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags) == DKIM_STAT_OK);
      RELAIS_CHECK(::dkim_set_key_lookup(made.get(), &Verification::key_callback) == DKIM_STAT_OK);
      RELAIS_CHECK(::dkim_set_prescreen(made.get(), &Verification::prescreen_callback) == DKIM_STAT_OK);
      return made.release();
    }();
    return shared;
  }

  static void stop(Candidate& candidate, Outcome outcome, std::string_view reason) {
    if (!candidate.run) return;
    candidate.run = false;
    decide(candidate, outcome, reason);
  }

  void stop_all(Outcome outcome, std::string_view reason) {
    for (auto& candidate : candidates_) stop(candidate, outcome, reason);
    handle_.reset();
    waiting_ = false;
  }

  /// Why the header can't be given to the library; empty where it can.
  std::string_view unfit() const {
    if (header_.too_many()) return "the message has too many header fields";
    if (header_.lone_line_ends()) return "the message has header fields with stray line ends";
    // The library reads fields up to a NUL: what stands behind it would pass for signed.
    const auto odd = [](const message::Field& field) { return field.raw.size() > kMaxDkimField || field.raw.contains('\0'); };
    if (std::ranges::any_of(header_.all(), odd)) return "the message has header fields that can't be verified";
    return {};
  }

  void start_library() {
    DKIM_STAT status = DKIM_STAT_OK;
    handle_.reset(::dkim_verify(library(), dkim_text("relais"), nullptr, &status));
    if (!handle_) return stop_all(Outcome::temperror, "no memory for the verification");
    ::dkim_set_user_context(handle_.get(), this);
    std::size_t seen = 0;
    for (const auto& field : header_.all()) {
      const bool signature = iequals(field.name, "DKIM-Signature");
      if (signature && seen++ >= candidates_.size()) continue;
      if (field.name.size() > kMaxDkimName) continue;
      if (!feed(field.raw, signature)) return;
    }
    // The library's list of picked fields has as many places as the header has fields, and it clears one place more than it fills: a
    // signature that covers every field, its own included, and names one more would have it write behind the list. A field whose name
    // nobody can guess is never picked, so there always is a place.
    feed("X-" + random_id(24) + ": -", false);
  }

  bool feed(std::string_view field, bool signature) {
    const auto raw = message::without_line_end(field);
    const auto status = ::dkim_header(handle_.get(), dkim_text(raw), raw.size());
    // A field that the library can't read is as if it were not there, but a signature has its handle even so.
    if (status == DKIM_STAT_OK || status == DKIM_STAT_SYNTAX || (signature && status == DKIM_STAT_CANTVRFY)) return true;
    stop_all(Outcome::temperror, "no memory for the verification");
    return false;
  }

  void header_done() {
    const auto status = ::dkim_eoh(handle_.get());
    waiting_ = status == DKIM_STAT_CBTRYAGAIN;
    if (waiting_ || status == DKIM_STAT_OK) return;
    stop_all(status == DKIM_STAT_NORESOURCE ? Outcome::temperror : Outcome::permerror, "the signatures can't be verified");
  }

  void body_done() {
    if (waiting_) return stop_all(Outcome::temperror, "the key could not be asked for");
    if (feed_body(handle_.get(), message_.body) != DKIM_STAT_OK) return stop_all(Outcome::temperror, "no memory for the verification");
    bool testing = false;
    static_cast<void>(::dkim_eom(handle_.get(), &testing));  // of one signature; each has its own result below
    DKIM_SIGINFO** list = nullptr;
    int count = 0;
    if (::dkim_getsiglist(handle_.get(), &list, &count) != DKIM_STAT_OK || static_cast<std::size_t>(count) != candidates_.size()) {
      return stop_all(Outcome::permerror, "the signatures can't be verified");
    }
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].run) conclude(candidates_[i], list[i], *fields_[i]);
    }
  }

  void conclude(Candidate& candidate, DKIM_SIGINFO* signature, const message::Field& field) const {
    auto& result = candidate.result;
    const bool edwards = result.algorithm == "ed25519-sha256";
    unsigned bits = 0;
    if (!edwards && ::dkim_sig_getkeysize(signature, &bits) == DKIM_STAT_OK) result.key_bits = bits;
    const auto flags = ::dkim_sig_getflags(signature);
    result.testing = (flags & DKIM_SIGFLAG_TESTKEY) != 0;
    const auto error = ::dkim_sig_geterror(signature);
    const bool right = (flags & DKIM_SIGFLAG_PASSED) != 0;
    const auto body = ::dkim_sig_getbh(signature);
    if (const auto* key = keys_.find(key_name(result.selector, result.domain)); key != nullptr && key->record.empty()) {
      decide(candidate, key->temporary ? Outcome::temperror : Outcome::permerror, key->reason);
    } else if (right && body == DKIM_SIGBH_MATCH && error == DKIM_SIGERROR_OK) {
      if (edwards) result.key_bits = 256;
      if (!edwards && result.key_bits < kMinRsaBits)
        decide(candidate, Outcome::policy, "the key is too short");
      else if (!covers_body(field, message_.body))
        decide(candidate, Outcome::policy, "the signature covers a part of the body only");
      else
        decide(candidate, Outcome::pass, "");
    } else if (error == DKIM_SIGERROR_KEYTOOSMALL) {
      decide(candidate, Outcome::policy, "the key is too short");
    } else if (error == DKIM_SIGERROR_EXPIRED || error == DKIM_SIGERROR_FUTURE) {
      decide(candidate, Outcome::fail, "the signature has expired, or is of the future");
    } else if (error == DKIM_SIGERROR_BADSIG || error == DKIM_SIGERROR_OK || error == DKIM_SIGERROR_UNKNOWN) {
      decide(candidate, Outcome::fail,
             right && body == DKIM_SIGBH_MISMATCH ? "the body was changed" : "the header was changed, or the key is another");
    } else {
      decide(candidate, Outcome::permerror, std::string("the key or signature can't be used: ") + ::dkim_sig_geterrorstr(error));
    }
  }

  static DKIM_CBSTAT key_callback(DKIM* handle, DKIM_SIGINFO* signature, unsigned char* buffer, std::size_t size) {
    const auto* self = static_cast<const Verification*>(::dkim_get_user_context(handle));
    const auto name =
        key_name(to_lower(dkim_view(::dkim_sig_getselector(signature))), to_lower(dkim_view(::dkim_sig_getdomain(signature))));
    const auto* key = self->keys_.find(name);
    if (key == nullptr) return DKIM_CBSTAT_TRYAGAIN;
    const auto record = with_key_info(key->record);
    if (record.empty() || record.size() >= size || record.contains('\0')) return DKIM_CBSTAT_NOTFOUND;
    std::memcpy(buffer, record.data(), record.size());
    buffer[record.size()] = '\0';
    return DKIM_CBSTAT_CONTINUE;
  }

  static DKIM_CBSTAT prescreen_callback(DKIM* handle, DKIM_SIGINFO** list, int count) {
    const auto* self = static_cast<const Verification*>(::dkim_get_user_context(handle));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (i >= self->candidates_.size() || !self->candidates_[i].run) ::dkim_sig_ignore(list[i]);
    }
    return DKIM_CBSTAT_CONTINUE;
  }

  const MessageView message_;
  const std::int64_t now_;
  const HeaderFields header_;
  std::vector<Candidate> candidates_;
  std::vector<const message::Field*> fields_;  ///< of the candidates
  FoundKeys keys_;
  DkimHandle handle_;
  bool waiting_ = false;  ///< the library wants a key
};

bool has_signature(std::string_view header) {
  bool found = false;
  message::for_each_field(header, [&](const message::Field& field) {
    found = iequals(field.name, "DKIM-Signature");
    return !found;
  });
  return found;
}

}  // namespace

std::string_view to_string(DkimResult::Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::neutral: return "neutral";
    case Outcome::policy: return "policy";
    case Outcome::temperror: return "temperror";
    case Outcome::permerror: return "permerror";
  }
  return "neutral";
}

net::Task<std::vector<DkimResult>> dkim_verify(net::Resolver& resolver, net::WorkerPool& workers, MessageView message, std::int64_t now) {
  if (!has_signature(message.header)) co_return std::vector<DkimResult>{};
  if (now == 0) now = system_clock().seconds();
  std::unique_ptr<Verification> verification;
  auto begin = [&]() -> Result<void> {
    verification = std::make_unique<Verification>(message, now);
    verification->begin();
    return {};
  };
  RELAIS_CO_TRY_VOID(co_await workers.run(begin));
  auto keys = co_await find_keys(resolver, verification->wanted());
  auto finish = [&]() -> Result<std::vector<DkimResult>> { return verification->finish(std::move(keys)); };
  co_return co_await workers.run(finish);
}

}  // namespace relais::antispam
