// Names of mailboxes between the view of the platform that an account came from and the storage.
#include "directory/name_view.h"

#include <gtest/gtest.h>

namespace relais::directory {
namespace {

struct Case {
  NameView view;
  std::string wire;
  std::string storage;
};

TEST(NameView, TranslatesThereAndBack) {
  const NameView dots{'.', ""};
  const NameView courier{'.', "INBOX."};
  const NameView slashes{'/', "INBOX/"};
  const NameView flat{'\0', ""};
  const NameView home{'/', "mail/"};
  const Case cases[] = {
      {dots, "Sent", "Sent"},
      {dots, "Work.2024.May", "Work/2024/May"},
      {dots, "INBOX", "INBOX"},
      {dots, "INBOX.Sub", "INBOX/Sub"},
      {dots, "a/b.c", "a%2Fb/c"},
      {dots, "100%.x", "100%25/x"},
      {dots, "%2F", "%252F"},
      {dots,
       "Gr\xC3\xBC\xC3\x9F"
       "e",
       "Gr\xC3\xBC\xC3\x9F"
       "e"},
      {dots, "bad\xFF.x", "bad%FF/x"},
      {dots, "decomposed u\xCC\x88", "decomposed u%CC%88"},
      {dots, "tab\there", "tab%09here"},
      {dots, "c1 \xC2\x85", "c1 %C2%85"},
      {courier, "INBOX.Sent", "Sent"},
      {courier, "INBOX.Work.May", "Work/May"},
      {courier, "INBOX.INBOX", "%49NBOX"},
      {courier, "INBOX.inbox.x", "%69nbox/x"},
      {courier, "INBOX.x.INBOX", "x/INBOX"},
      {slashes, "INBOX/Sent", "Sent"},
      {slashes, "INBOX/a.b", "a.b"},
      {flat, "a/b.c", "a%2Fb.c"},
      {home, "mail/x/y", "x/y"},
      {NameView{}, "50% a/b", "50% a/b"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.wire);
    const auto storage = c.view.to_storage(c.wire);
    ASSERT_TRUE(storage) << storage.error().text;
    EXPECT_EQ(*storage, c.storage);
    EXPECT_EQ(c.view.to_wire(*storage), c.wire);
  }
}

TEST(NameView, InboxIsInAnyCase) {
  const NameView courier{'.', "INBOX."};
  EXPECT_EQ(courier.to_storage("inBox").value(), "INBOX");
  EXPECT_EQ(courier.to_storage("inBox.Sent").value(), "Sent");
  EXPECT_EQ((NameView{'.', ""}.to_storage("Inbox.Sub").value()), "INBOX/Sub");
  EXPECT_EQ(courier.to_wire("INBOX"), "INBOX");
}

TEST(NameView, WhatLiesOutsideIsRefused) {
  const NameView courier{'.', "INBOX."};
  for (const auto* wire : {"Sent", "shared.x", "INBOX.", "INBOX..x", "INBOX.x.", "INBOX.x..y", "INBOXES", ""}) {
    SCOPED_TRACE(wire);
    const auto storage = courier.to_storage(wire);
    ASSERT_FALSE(storage);
    EXPECT_EQ(storage.error().fault, Fault::refused);
    EXPECT_EQ(storage.error().code, "CANNOT");
  }
  EXPECT_FALSE((NameView{'/', "mail/"}.to_storage("MAIL/x")));
}

TEST(NameView, AStorageNameThatNoWireNameGivesIsShownDifferently) {
  const NameView dots{'.', ""};
  const auto wire = dots.to_wire("a.b/c");
  EXPECT_EQ(wire, "a%2Eb.c");
  EXPECT_NE(dots.to_storage(wire).value(), "a.b/c");
  EXPECT_EQ(dots.to_wire("50%"), "50%");
  EXPECT_EQ(dots.to_wire("%zz"), "%zz");
}

TEST(NameView, WhatClientsCannotWorkWithIsRefused) {
  for (const auto& view :
       {NameView{}, NameView{'.', ""}, NameView{'.', "INBOX."}, NameView{'\\', "#mh\\"}, NameView{'\0', ""}, NameView{'/', "mail/"}})
    EXPECT_TRUE(check_view(view)) << view.prefix;
  for (const auto& view : {NameView{'a', ""}, NameView{'7', ""}, NameView{'%', ""}, NameView{'*', ""}, NameView{'&', ""}, NameView{'"', ""},
                           NameView{' ', ""}, NameView{'\n', ""}, NameView{'\x80', ""}, NameView{'.', "INBOX"}, NameView{'.', "."},
                           NameView{'.', "a..b."}, NameView{'\0', "x"}, NameView{'.', "a*."}, NameView{'.', "\xff."}}) {
    const auto done = check_view(view);
    ASSERT_FALSE(done) << view.separator << view.prefix;
    EXPECT_EQ(done.error().fault, Fault::syntax);
  }
}

}  // namespace
}  // namespace relais::directory
