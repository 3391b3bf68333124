// Names of mailboxes in the views of other platforms: what to_storage() takes comes back, and has no empty level.
#include "base/ascii.h"
#include "directory/name_view.h"

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string_view>

using namespace relais;
using namespace relais::directory;

// The first octet chooses the view.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const NameView views[] = {{'.', ""}, {'.', "INBOX."}, {'/', "INBOX/"}, {'\0', ""}, {'\\', "#mh\\"}};
  const auto& view = views[data[0] % std::size(views)];
  const std::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto storage = view.to_storage(wire);
  if (!storage) {
    if (storage.error().fault != Fault::refused || storage.error().code != "CANNOT") std::abort();
    return 0;
  }
  if (storage->empty() || storage->front() == '/' || storage->back() == '/' || storage->contains("//")) std::abort();
  if (!is_utf8(*storage)) std::abort();
  const auto back = view.to_wire(*storage);
  if (back == wire) return 0;
  // INBOX is in any case (RFC 9051 §5.1).
  if (!iequals(back, wire) || !istarts_with(wire, "INBOX")) std::abort();
  return 0;
}
