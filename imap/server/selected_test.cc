// The client's view of a mailbox: sequence numbers, own changes, flag lists.
#include "imap/server/selected.h"

#include "imap/server/fetch_writer.h"
#include "imap/server/window.h"

#include <gtest/gtest.h>

namespace relais::imap {
namespace {

Selected box_with(std::string_view uids) {
  Selected box;
  box.uids = NumberSet::parse(uids).value();
  box.uid_next = box.uids.back() + 1;
  return box;
}

NumberSet set(std::string_view text) { return text.empty() ? NumberSet() : NumberSet::parse(text).value(); }

TEST(Selected, SequenceNumbersAndUids) {
  const auto box = box_with("2:4,10,20:25");
  struct Case {
    std::string_view sequences;
    std::string_view uids;
  };
  for (const auto& [sequences, uids] : {Case{"1", "2"}, Case{"1:3", "2:4"}, Case{"4", "10"}, Case{"3:5", "4,10,20"}, Case{"10", "25"},
                                        Case{"1:10", "2:4,10,20:25"}, Case{"2,6:7,9", "3,21:22,24"}}) {
    EXPECT_EQ(box.uids_of(set(sequences)), set(uids)) << sequences;
    EXPECT_EQ(box.sequences_of(set(uids)), set(sequences)) << uids;
  }
  EXPECT_EQ(box.sequences_of({}), NumberSet());
}

TEST(Selected, AgreesWithCountingOneByOne) {
  const auto box = box_with("1,3,5:9,12,14:20,30");
  for (std::uint32_t first = 1; first <= box.exists(); ++first) {
    for (std::uint32_t last = first; last <= box.exists(); ++last) {
      const NumberSet sequences(NumberRange{first, last});
      NumberSet uids;
      sequences.for_each([&](std::uint32_t sequence) { uids.add(*box.uids.nth(sequence - 1)); });
      EXPECT_EQ(box.uids_of(sequences), uids);
      EXPECT_EQ(box.sequences_of(uids), sequences);
    }
  }
  Sequencer sequencer(box.uids);
  std::uint32_t expected = 0;
  box.uids.for_each([&](std::uint32_t uid) { EXPECT_EQ(sequencer.of(uid), ++expected); });
}

TEST(Selected, OwnChangesNextToWhatIsKnownAreKnown) {
  auto box = box_with("1:3");
  box.synced = 7;
  box.own_change(8);
  EXPECT_EQ(box.synced, 8U);
  box.own_change(10);  // 9 is somebody else's, perhaps in this mailbox
  EXPECT_EQ(box.synced, 8U);
  EXPECT_TRUE(box.is_own(10));
  EXPECT_FALSE(box.is_own(9));
  box.own_change(3);  // what left the flags as they were
  EXPECT_FALSE(box.is_own(3));
}

TEST(Selected, OnlyWhatTheClientHasCanVanish) {
  auto box = box_with("1:3");
  box.expunged(set("2,9"));
  EXPECT_EQ(box.gone, set("2"));
  EXPECT_EQ(box.exists(), 3U);
}

TEST(FlagsWriter, SystemFlagsRecentAndKeywords) {
  const std::vector<std::string> keywords{"one", "", "$Three"};
  FlagsWriter writer(keywords);
  const auto text = [&writer](storage::FlagBits flags, bool recent) {
    std::string out;
    writer.append(out, flags, recent);
    return out;
  };
  const auto bit = [](unsigned n) { return storage::FlagBits{1} << (storage::kFirstKeyword + n); };
  EXPECT_EQ(text(0, false), "()");
  EXPECT_EQ(text(0, true), "(\\Recent)");
  EXPECT_EQ(text(storage::kSeen | storage::kDeleted, false), "(\\Deleted \\Seen)");
  EXPECT_EQ(text(storage::kSeen | bit(0) | bit(1) | bit(2), true), "(\\Seen \\Recent one $Three)");
  EXPECT_EQ(text(bit(2), false), "($Three)");
  EXPECT_EQ(text(bit(2), false), "($Three)");
}

TEST(Window, CountsFromEitherEnd) {
  const auto members = set("2,4,6,8,10");
  const auto window = [&members](std::uint32_t first, std::uint32_t last, bool from_end) {
    return window_of(members, {.first = first, .last = last, .from_end = from_end}).to_string();
  };
  EXPECT_EQ(window(1, 2, false), "2,4");
  EXPECT_EQ(window(4, 99, false), "8,10");
  EXPECT_EQ(window(6, 9, false), "");
  EXPECT_EQ(window(1, 1, true), "10");
  EXPECT_EQ(window(2, 3, true), "6,8");
  EXPECT_EQ(window(5, 9, true), "2");
  EXPECT_EQ(window(1, 99, true), "2,4,6,8,10");
}

}  // namespace
}  // namespace relais::imap
