// DKIM of strangers: tag lists, canonical forms, key records, and whole messages through libopendkim.
#include <openssl/crypto.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "antispam/dkim_canonical.h"
#include "antispam/dkim_crypto.h"
#include "antispam/dkim_tags.h"
#include "antispam/dkim_verify.h"
#include "base/ascii.h"
#include "base/encode.h"
#include "message/header.h"
#include "net/dns_records.h"
#include "net/test_support.h"

using namespace relais;
using namespace relais::antispam;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

constexpr std::string_view kRsa =
    "v=DKIM1; k=rsa; "
    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/"
    "e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
constexpr std::string_view kEdwards = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// Any name has the two keys of RFC 8463, so that its example among the seeds passes.
class OneKey final : public net::Resolver {
 public:
  net::asio::awaitable<net::DnsAnswer> query(std::string name, net::DnsType) override {
    net::DnsAnswer answer;
    answer.status = net::DnsAnswer::Status::found;
    answer.canonical_name = name;
    answer.records.push_back(net::make_txt(name.starts_with("test") ? kRsa : kEdwards));
    co_return answer;
  }
};

struct World {
  /// OpenSSL ends, at exit, after what began after it: the workers are to give back what it holds for their threads.
  World() : openssl(::OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr) == 1) {
    check(openssl);
    loops.start();
  }
  bool openssl;
  net::LoopPool loops{1};
  net::WorkerPool workers{1, 16};
  OneKey dns;
};

/// The signature by our own reading of RFC 6376, the one that ARC uses: what the library takes for good must be good.
bool holds_by_us(const HeaderFields& fields, const message::Field& field, std::string_view body) {
  const auto tags = TagList::parse(field.value);
  if (!tags) return false;
  const auto key = parse_key_record(istarts_with(tags->get("s"), "test") ? kRsa : kEdwards);
  const auto forms = parse_canonicals(tags->get("c"));
  const auto signature = from_base64(without_space(tags->get("b")));
  const auto expected = from_base64(without_space(tags->get("bh")));
  if (!key || !forms || !signature || !expected) return false;
  std::optional<std::uint64_t> length;
  if (tags->has("l")) length = parse_u64(tags->get("l"));
  BodyHash hash(forms->body, length);
  hash.update(body);
  if (hash.finish() != *expected) return false;
  const auto names = colon_list(tags->get("h"));
  std::string covered;
  for (const auto* one : fields.select(names)) append_canonical_field(covered, forms->header, one->raw);
  append_canonical_field(covered, forms->header, without_signature(field.raw));
  covered.resize(covered.size() - 2);
  Sha256 digest;
  digest.update(covered);
  return verify_digest(*key, digest.finish(), *signature);
}

void check_canonical(std::string_view text) {
  for (const auto form : {Canonical::simple, Canonical::relaxed}) {
    const std::string_view whole[] = {text};
    const std::string_view halves[] = {text.substr(0, text.size() / 2), text.substr(text.size() / 2)};
    check(body_hash(form, whole) == body_hash(form, halves));
    std::string once;
    append_canonical_field(once, form, text);
    std::string twice;
    append_canonical_field(twice, form, once);
    check(once.ends_with("\r\n") && (form == Canonical::simple || twice == once || text.contains('\r') || text.contains('\n')));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto tags = TagList::parse(text)) {
    check(!text.empty());
    check(TagList::parse(std::string(text) + (text.ends_with(';') ? "" : ";")).has_value() ||
          text.find_last_not_of(" \t\r\n;") == std::string_view::npos || text.contains(';'));
  }
  const auto key = parse_key_record(text);
  check(key ? key->key != nullptr && key->bits > 0 : !key.error().text.empty());
  check_canonical(text);
  check(!without_signature(text).contains("\xFF\xFE\xFD") || text.contains("\xFF\xFE\xFD"));

  const auto end = message::header_end(text);
  const std::string_view body[] = {text.substr(end)};
  const auto results = net::run_on(world.loops.at(0), dkim_verify(world.dns, world.workers, {text.substr(0, end), body}, 1'767'225'600));
  check(results.has_value() && results->size() <= kMaxDkimSignatures);
  const HeaderFields fields(text.substr(0, end));
  std::size_t at = 0;
  for (const auto& field : fields.all()) {
    if (!iequals(field.name, "DKIM-Signature") || at == results->size()) continue;
    const auto& result = (*results)[at++];
    const bool passes = result.outcome == DkimResult::Outcome::pass;
    check(passes == result.reason.empty());
    check(!passes || holds_by_us(fields, field, text.substr(end)));
  }
  return 0;
}
