// Validates ARC chains.
#include "antispam/arc_verify.h"

#include "antispam/arc_sets.h"
#include "antispam/dkim_crypto.h"
#include "antispam/key_lookup.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/encode.h"
#include "message/address.h"

#include <algorithm>
#include <map>
#include <memory>

namespace relais::antispam {
namespace {

constexpr std::uint32_t kMinRsaBits = 1'024;  // RFC 8301 §3.2
constexpr std::size_t kMaxNames = 1'000;      // in h=

bool is_domain(std::string_view text) { return message::to_ascii_domain(text).has_value(); }

std::string ascii_domain(std::string_view text) { return message::to_ascii_domain(text).value_or(""); }

/// The public key's name of a signature or seal; empty where its tags give none.
std::string name_of(const TagList& tags) {
  if (!is_domain(tags.get("d")) || !is_domain(tags.get("s"))) return {};
  return key_name(ascii_domain(tags.get("s")), ascii_domain(tags.get("d")));
}

/// A message's chain while it is being validated.
class Validation {
 public:
  Validation(MessageView message, std::int64_t now)
      : message_(message), now_(now), fields_(message.header), found_(read_arc_sets(fields_)) {
    chain_.instances = found_.highest;
    if (!found_.any) return;
    chain_.status = ArcChain::Status::fail;
    // RFC 8617 §5.1 step 2: nothing is put on top of a chain that was found broken; and 50 is all there may be.
    chain_.sealable = !found_.last_failed && found_.highest < kMaxArcSets;
    if (found_.last_failed)
      chain_.reason = "an earlier handler found the chain broken";
    else
      chain_.reason = found_.fault;
    if (!found_.sets.empty()) chain_.domain = to_lower(found_.sets.back().seal_tags.get("d"));
  }

  bool done() const noexcept { return !found_.any || !chain_.reason.empty(); }

  std::vector<std::string> wanted() const {
    std::vector<std::string> names;
    const auto want = [&](std::string name) {
      if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    };
    for (const auto& set : found_.sets) {
      want(name_of(set.seal_tags));
      want(name_of(set.signature_tags));
    }
    return names;
  }

  /// Steps 4 to 7 of §5.2.
  ArcChain finish(const FoundKeys& keys) {
    const auto last = found_.sets.size();
    if (auto why = check_signature(last, keys); !why.empty()) return failed(std::move(why));
    find_oldest_pass(keys);
    if (auto why = check_seals(keys); !why.empty()) return failed(std::move(why));
    chain_.status = ArcChain::Status::pass;
    return std::move(chain_);
  }

  ArcChain take() { return std::move(chain_); }

 private:
  ArcChain failed(std::string why) {
    chain_.reason = std::move(why);
    chain_.temporary = temporary_;
    chain_.oldest_pass = 0;
    return std::move(chain_);
  }

  /// nullptr, and why.
  const PublicKey* key_for(const TagList& tags, const FoundKeys& keys, std::string& why) {
    const auto name = name_of(tags);
    if (name.empty()) {
      why = "its domain or selector is none";
      return nullptr;
    }
    auto place = parsed_.find(name);
    if (place == parsed_.end()) {
      const auto* found = keys.find(name);
      if (found == nullptr || found->record.empty()) {
        temporary_ = temporary_ || (found != nullptr && found->temporary);
        why = found == nullptr ? "its key was not asked for" : found->reason;
        return nullptr;
      }
      place = parsed_.emplace(name, parse_key_record(found->record)).first;
    }
    if (!place->second) {
      why = place->second.error().text;
      return nullptr;
    }
    const auto& key = *place->second;
    const auto algorithm = tags.get("a");
    if (algorithm != to_string(key.algorithm))
      why = "its algorithm is not that of the key";
    else if (key.algorithm == DkimKey::Algorithm::rsa_sha256 && key.bits < kMinRsaBits)
      why = "its key is too short";
    return why.empty() ? &key : nullptr;
  }

  const std::string& body_hash_of(Canonical form) {
    auto& hash = hashes_[form];
    if (hash.empty()) hash = body_hash(form, message_.body);
    return hash;
  }

  /// The AMS of an instance. @return why it is wrong; empty where it is right
  std::string check_signature(std::size_t instance, const FoundKeys& keys) {
    const auto& set = found_.sets[instance - 1];
    const auto& tags = set.signature_tags;
    const auto prefix = "the signature of instance " + std::to_string(instance) + ": ";
    const auto names = colon_list(tags.get("h"));
    const auto named = [&](std::string_view wanted) {
      return std::ranges::any_of(names, [&](std::string_view name) { return iequals(name, wanted); });
    };
    const auto forms = parse_canonicals(tags.get("c"));
    const auto signature = from_base64(without_space(tags.get("b")));
    const auto expected = from_base64(without_space(tags.get("bh")));
    if (!forms || !signature || !expected || names.empty() || names.size() > kMaxNames) return prefix + "it is malformed";
    if (!named("from")) return prefix + "it doesn't cover From";
    if (named(kArcSeal)) return prefix + "it covers a seal";  // §4.1.2
    if (tags.has("l")) return prefix + "it may cover a part of the body only";
    if (const auto expires = tags.find("x")) {
      const auto time = parse_u64(*expires);
      if (!time || now_ > static_cast<std::int64_t>(std::min<std::uint64_t>(*time, INT64_MAX))) return prefix + "it has expired";
    }
    std::string why;
    const auto* key = key_for(tags, keys, why);
    if (key == nullptr) return prefix + why;
    if (*expected != body_hash_of(forms->body)) return prefix + "the body was changed";
    Sha256 hash;
    std::string text;
    for (const auto* field : fields_.select(names)) append_canonical_field(text, forms->header, field->raw);
    append_canonical_field(text, forms->header, without_signature(set.signature));
    text.resize(text.size() - 2);  // RFC 6376 §3.7: no CRLF behind the last one
    hash.update(text);
    return verify_digest(*key, hash.finish(), *signature) ? "" : prefix + "the header was changed, or the key is another";
  }

  void find_oldest_pass(const FoundKeys& keys) {
    const bool before = temporary_;
    for (auto instance = found_.sets.size() - 1; instance > 0; --instance) {
      if (check_signature(instance, keys).empty()) continue;
      chain_.oldest_pass = static_cast<unsigned>(instance + 1);
      break;
    }
    temporary_ = before;  // says nothing about the chain
  }

  std::string check_seals(const FoundKeys& keys) {
    Sha256 running;  // over all whole sets so far
    std::string first_fault;
    for (std::size_t i = 0; i < found_.sets.size(); ++i) {
      const auto& set = found_.sets[i];
      std::string text;
      append_canonical_field(text, Canonical::relaxed, set.results);
      append_canonical_field(text, Canonical::relaxed, set.signature);
      running.update(text);
      if (auto why = check_seal(set, running.fork(), keys); !why.empty()) {
        first_fault = "the seal of instance " + std::to_string(i + 1) + ": " + why;  // of the highest instance that is wrong: §5.2 step 6
      }
      text.clear();
      append_canonical_field(text, Canonical::relaxed, set.seal);
      running.update(text);
    }
    return first_fault;
  }

  std::string check_seal(const ArcSet& set, Sha256 hash, const FoundKeys& keys) {
    const auto signature = from_base64(without_space(set.seal_tags.get("b")));
    if (!signature) return "it is malformed";
    std::string why;
    const auto* key = key_for(set.seal_tags, keys, why);
    if (key == nullptr) return why;
    std::string text;
    append_canonical_field(text, Canonical::relaxed, without_signature(set.seal));
    text.resize(text.size() - 2);
    hash.update(text);
    return verify_digest(*key, hash.finish(), *signature) ? "" : "the chain was changed, or the key is another";
  }

  const MessageView message_;
  const std::int64_t now_;
  const HeaderFields fields_;
  ArcSets found_;
  ArcChain chain_;
  std::map<std::string, Result<PublicKey>> parsed_;
  std::map<Canonical, std::string> hashes_;
  bool temporary_ = false;
};

bool has_arc_field(std::string_view header) {
  bool found = false;
  message::for_each_field(header, [&](const message::Field& field) {
    found = iequals(field.name, kArcSeal) || iequals(field.name, kArcSignature) || iequals(field.name, kArcResults);
    return !found;
  });
  return found;
}

}  // namespace

std::string_view to_string(ArcChain::Status status) noexcept {
  switch (status) {
    case ArcChain::Status::none: return "none";
    case ArcChain::Status::pass: return "pass";
    case ArcChain::Status::fail: return "fail";
  }
  return "none";
}

net::Task<ArcChain> arc_verify(net::Resolver& resolver, net::WorkerPool& workers, MessageView message, std::int64_t now) {
  if (!has_arc_field(message.header)) co_return ArcChain{};
  if (now == 0) now = system_clock().seconds();
  std::unique_ptr<Validation> validation;
  auto begin = [&]() -> Result<void> {
    validation = std::make_unique<Validation>(message, now);
    return {};
  };
  RELAIS_CO_TRY_VOID(co_await workers.run(begin));
  if (validation->done()) co_return validation->take();
  const auto keys = co_await find_keys(resolver, validation->wanted());
  auto finish = [&]() -> Result<ArcChain> { return validation->finish(keys); };
  co_return co_await workers.run(finish);
}

}  // namespace relais::antispam
