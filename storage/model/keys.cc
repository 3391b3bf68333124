// Keys made of text.
#include "storage/model/keys.h"

#include "storage/model/digest.h"

namespace relais::storage::model {
namespace {

std::string text_key(char family, std::string_view text) {
  std::string key(1, family);
  if (text.size() <= kMaxNameInKey) return key += text;
  key += text.substr(0, kMaxNameInKey);
  key += '\xFF';  // never in UTF-8: no short name can equal it
  return key += sha256(text);
}

}  // namespace

std::string name_key(std::string_view name) { return text_key(kNameFamily, name); }
std::string subscribed_key(std::string_view name) { return text_key(kSubscribedFamily, name); }
std::string once_key(std::string_view id) { return text_key(kOnceFamily, id); }


std::string attribute_key(MailboxId id, std::string_view name) {
  std::string key(std::string_view(Key(kAttributeFamily).u32(number(id))));
  return key += name;
}

}  // namespace relais::storage::model
