// Works out what a FETCH needs from storage.
#include "imap/server/fetch_plan.h"

namespace relais::imap {
namespace {

using Kind = FetchItem::Kind;

// A message above this is read in pieces where only a part of it is asked for. Octets.
constexpr std::uint32_t kSmall = 32 * 1024;
// A message above this is streamed. Octets.
constexpr std::uint32_t kLarge = 256 * 1024;

void plan_section(FetchPlan& plan, const PlannedItem& planned) {
  const auto& item = planned.item;
  if (planned.from_kept_fields()) plan.fields |= storage::kFetchHeaderFields;
  plan.fields |= storage::kFetchParts;
  const bool whole =
      !item.partial && item.part.empty() && (planned.text() == message::SectionText::all || planned.text() == message::SectionText::text);
  plan.content_limit = std::max(plan.content_limit, whole ? kLarge : kSmall);
  // Where the kept fields do for nearly all messages, the few others are read one by one.
  if (!planned.from_kept_fields()) plan.fields |= storage::kFetchContent;
}

}  // namespace

message::SectionText PlannedItem::text() const noexcept {
  switch (item.kind) {
    case Kind::rfc822_header: return message::SectionText::header;
    case Kind::rfc822_text: return message::SectionText::text;
    case Kind::section: break;
    default: return message::SectionText::all;
  }
  switch (item.text) {
    case SectionText::header:
    case SectionText::header_fields:
    case SectionText::header_fields_not: return message::SectionText::header;
    case SectionText::text: return message::SectionText::text;
    case SectionText::mime: return message::SectionText::mime;
    case SectionText::none: break;
  }
  return message::SectionText::all;
}

bool FetchPlan::only_flags() const noexcept { return items.empty() && fields == storage::kFetchFlags; }

FetchPlan make_plan(const FetchArgs& args, bool uid) {
  FetchPlan plan;
  plan.uid = uid;
  plan.mod_seq = args.changed_since.has_value();  // RFC 7162 §3.1.4.1: implied
  for (const auto& item : args.items) {
    plan.sets_seen = plan.sets_seen || item.sets_seen();
    switch (item.kind) {
      case Kind::uid: plan.uid = true; continue;
      case Kind::flags: plan.flags = true; continue;
      case Kind::mod_seq: plan.mod_seq = true; continue;
      case Kind::envelope: plan.fields |= storage::kFetchEnvelope; break;
      case Kind::body: plan.fields |= storage::kFetchBody; break;
      case Kind::body_structure: plan.fields |= storage::kFetchBodyStructure; break;
      case Kind::internal_date:
      case Kind::email_id:
      case Kind::thread_id:
      case Kind::save_date: plan.fields |= storage::kFetchMeta; break;
      default: break;
    }
    PlannedItem planned{.item = item, .name = {}, .fields = std::nullopt};
    append_item_name(planned.name, item);
    planned.name += ' ';
    if (item.text == SectionText::header_fields || item.text == SectionText::header_fields_not) {
      planned.fields.emplace(item.names, item.text == SectionText::header_fields_not);
    }
    if (planned.is_section()) plan_section(plan, planned);
    plan.items.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace relais::imap
