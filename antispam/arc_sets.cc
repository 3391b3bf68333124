// Collects ARC sets and checks their structure.
#include "antispam/arc_sets.h"

#include "antispam/arc_verify.h"
#include "base/ascii.h"
#include "message/lexer.h"

#include <algorithm>
#include <array>

namespace relais::antispam {
namespace {

constexpr std::size_t kMaxArcOctets = 512 * 1024;  // of all ARC fields of a message

// position = 1*2DIGIT ; 1 - 50                                   RFC 8617 §3.10
std::optional<unsigned> read_position(std::string_view text) {
  if (text.empty() || text.size() > 2) return std::nullopt;
  const auto number = parse_u64(text);
  if (!number || *number == 0 || *number > kMaxArcSets) return std::nullopt;
  return static_cast<unsigned>(*number);
}

/// Gathers while instances may still be missing.
struct Slot {
  std::optional<ArcSet> set;
  int results = 0;
  int signatures = 0;
  int seals = 0;
};

class Reader {
 public:
  ArcSets run(const HeaderFields& fields) {
    for (const auto& field : fields.all()) {
      if (iequals(field.name, kArcResults))
        take_results(field);
      else if (iequals(field.name, kArcSignature))
        take_tags(field, &ArcSet::signature, &ArcSet::signature_tags, &Slot::signatures);
      else if (iequals(field.name, kArcSeal))
        take_tags(field, &ArcSet::seal, &ArcSet::seal_tags, &Slot::seals);
    }
    if (!out_.any) return std::move(out_);
    if (fields.too_many()) fault("the message has too many header fields");
    if (fields.lone_line_ends()) fault("the message has header fields with stray line ends");
    finish();
    return std::move(out_);
  }

 private:
  void fault(std::string_view why) {
    if (out_.fault.empty()) out_.fault = why;
  }

  Slot* slot(std::optional<unsigned> instance, const message::Field& field) {
    out_.any = true;
    octets_ += field.raw.size();
    if (octets_ > kMaxArcOctets) fault("the ARC fields are too large");
    if (!instance) {
      fault("an ARC field has no instance number from 1 to 50");
      return nullptr;
    }
    out_.highest = std::max(out_.highest, *instance);
    auto& found = slots_[*instance - 1];
    if (!found.set) found.set.emplace();
    return &found;
  }

  void take_results(const message::Field& field) {
    auto* found = slot(results_instance(field.value), field);
    if (found == nullptr) return;
    ++found->results;
    found->set->results = field.raw;
  }

  void take_tags(const message::Field& field, std::string_view ArcSet::* raw, TagList ArcSet::* parsed, int Slot::* count) {
    auto tags = TagList::parse(field.value);
    auto* found = slot(tags ? read_position(tags->get("i")) : std::nullopt, field);
    if (found == nullptr) return;
    ++(found->*count);
    *found->set.*raw = field.raw;
    *found->set.*parsed = *std::move(tags);
  }

  void finish() {
    if (out_.highest > 0) {
      const auto& last = slots_[out_.highest - 1];
      out_.last_failed = last.set && iequals(last.set->seal_tags.get("cv"), "fail");
    }
    for (unsigned i = 0; i < out_.highest; ++i) {
      auto& found = slots_[i];
      if (!found.set)
        fault("an ARC set is missing");
      else if (found.results != 1 || found.signatures != 1 || found.seals != 1)
        fault("an ARC set is not of three fields");
      else if (!iequals(found.set->seal_tags.get("cv"), i == 0 ? "none" : "pass"))
        fault("an ARC seal says cv=" + std::string(found.set->seal_tags.get("cv")).substr(0, 10));
      else if (found.set->seal_tags.has("h"))
        fault("an ARC seal has h=");
      if (!out_.fault.empty()) break;
      out_.sets.push_back(*std::move(found.set));
    }
    if (!out_.fault.empty()) out_.sets.clear();
  }

  ArcSets out_;
  std::array<Slot, kMaxArcSets> slots_{};
  std::size_t octets_ = 0;
};

}  // namespace

// instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position;  arc-info = instance [CFWS] ";" authres-payload     RFC 8617 §4.1.1
std::optional<unsigned> results_instance(std::string_view value) {
  message::Lexer in(value);
  in.skip_cfws();
  if (!in.accept('i')) return std::nullopt;
  in.skip_cfws();
  if (!in.accept('=')) return std::nullopt;
  in.skip_cfws();
  const auto number = in.token();
  in.skip_cfws();
  if (!in.accept(';')) return std::nullopt;
  return read_position(number);
}

ArcSets read_arc_sets(const HeaderFields& fields) { return Reader().run(fields); }

}  // namespace relais::antispam
