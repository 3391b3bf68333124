// Names of mailboxes as a client writes them, as the storage keeps them, and as the client is told of them: back and forth.
#include "directory/name_view.h"
#include "imap/proto/cursor.h"
#include "imap/proto/write.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace relais::imap {
namespace {

using directory::NameView;

const NameView kViews[] = {{'.', "INBOX."}, {'.', ""}, {'/', "INBOX/"}, {'/', "mail/"}, {'\0', ""}, {'\\', "#mh\\"}, {'^', ""}};

/// What levels are made of; the separator of the view is not among it.
const std::vector<std::string> kPieces{"a", "Sent", "INBOX", "inbox", "/", "%",       "%2F",  "%41",  "&",    ".",      "^", "\\",
                                       " ", "\"",   "*",     "{3}",   "ü", "u\u0308", "台北", "\x07", "\xfc", "\u0085", "~", "NIL"};

class Names {
 public:
  explicit Names(std::uint32_t seed) : random_(seed) {}
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }

  std::string level(const NameView& view) {
    std::string made;
    while (made.empty()) {
      for (auto pieces = 1 + below(4); pieces > 0; --pieces) made += kPieces[below(kPieces.size())];
      if (view.separator != '\0') std::erase(made, view.separator);
    }
    return made;
  }
  std::string name(const NameView& view) {
    std::string made = view.prefix + level(view);
    if (view.separator == '\0') return made;
    for (auto levels = below(3); levels > 0; --levels) made += view.separator + level(view);
    return made;
  }

 private:
  std::mt19937 random_;
};

/// As a command's argument is read.
std::string read(const std::string& wire, const NameView& view, bool utf8) {
  Cursor in(wire, {.utf8 = utf8, .separator = view.separator, .any_names = true});
  auto name = in.mailbox();
  EXPECT_TRUE(in.ok()) << wire;
  return name;
}

std::string written(const std::string& name, const NameView& view, bool utf8) {
  std::string out;
  append_mailbox(out, name, {.utf8 = utf8, .separator = view.separator, .any_names = true});
  return out;
}

// Whatever a client can call a mailbox is one name in the storage, told to it as it said it, in both encodings.
TEST(Names, GoThereAndBack) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Names names(seed);
  for (const auto& view : kViews) {
    SCOPED_TRACE(view.prefix + " " + view.separator);
    std::map<std::string, std::string> shown_by_stored;
    for (int i = 0; i < 2'000; ++i) {
      const auto shown = names.name(view);
      const auto stored = view.to_storage(shown);
      ASSERT_TRUE(stored) << shown;
      const auto told = view.to_wire(*stored);
      // Equal but for the case of INBOX.
      const auto [known, fresh] = shown_by_stored.try_emplace(*stored, told);
      EXPECT_EQ(known->second, told) << *stored;
      EXPECT_EQ(view.to_storage(told).value(), *stored) << shown;
      for (const bool utf8 : {false, true}) {
        const auto again = read(written(told, view, utf8), view, utf8);
        EXPECT_EQ(view.to_storage(again).value(), *stored) << shown << " " << utf8;
        EXPECT_EQ(again, told) << shown << " " << utf8;
      }
    }
  }
}

}  // namespace
}  // namespace relais::imap
