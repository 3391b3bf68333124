// POP3 drops and the INBOXes that they are.
#include "migrate/uidl_match.h"

#include "migrate/uidl_formula.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace relais::migrate {
namespace {

constexpr std::uint32_t kValidity = 1'795'421'329;  // 0x6b03f491

TEST(UidlFormula, MakesAndReads) {
  const struct {
    std::string_view formula;
    storage::Uid uid;
    std::string_view uidl;
  } rows[] = {
      {"%08xu%08xv", 3, "000000036b03f491"},
      {"%08Xv%08Xu", 0xabc, "6B03F49100000ABC"},
      {"%v.%u", 12, "1795421329.12"},
      {"%v-%u", 4'294'967'295, "1795421329-4294967295"},
      {"UID%u-%v", 7, "UID7-1795421329"},
      {"%u", 7, "7"},
      {"%010u", 7, "0000000007"},
      {"%xu", 255, "ff"},
      {"100%%u", 7, "100%7"},
      {"%99u.%u", 7, "%99u.7"},
      {"%k%u%", 7, "%k7%"},
  };
  for (const auto& row : rows) {
    const UidlFormula formula(row.formula);
    EXPECT_EQ(formula.make(row.uid, kValidity), row.uidl);
    EXPECT_EQ(formula.uid_of(row.uidl, kValidity), row.uid) << row.uidl;
    EXPECT_EQ(formula.has_uid_validity(), row.formula.contains('v')) << row.formula;
  }
}

TEST(UidlFormula, ReadsWhatItMakesAlone) {
  const struct {
    std::string_view formula;
    std::string_view uidl;
  } rows[] = {
      {"%08xu%08xv", "000000036B03F491"},
      {"%08xu%08xv", "000000036b03f492"},
      {"%08xu%08xv", "000000006b03f491"},
      {"%08xu%08xv", "0000000036b03f491"},
      {"%v.%u", "1795421329.012"},
      {"%v.%u", "1795421329."},
      {"%v.%u", "1795421329.0"},
      {"%v.%u", "1795421329.4294967296"},
      {"%v.%u", "1795421329.1x"},
      {"%u", ""},
      {"%u", "-1"},
      {"%u", "99999999999"},
      {"%v", "1795421329"},
      {"UID%u-%v", "UID7-1795421330"},
  };
  for (const auto& row : rows) EXPECT_FALSE(UidlFormula(row.formula).uid_of(row.uidl, kValidity)) << row.formula << " " << row.uidl;
}

std::vector<InboxMessage> inbox_of(std::initializer_list<std::pair<storage::Uid, std::uint64_t>> messages) {
  std::vector<InboxMessage> inbox;
  for (const auto& [uid, size] : messages) inbox.push_back({.uid = uid, .size = size});
  return inbox;
}

std::vector<DropEntry> drop_of(std::initializer_list<std::pair<std::string, std::uint64_t>> entries) {
  std::vector<DropEntry> drop;
  for (const auto& [uidl, size] : entries) drop.push_back({.uidl = uidl, .size = size});
  return drop;
}

/// "1:formula 0:nothing", then what is wanted and found.
std::string text_of(const DropMatch& match) {
  std::string out;
  for (const auto& entry : match.entries) {
    out += std::to_string(entry.uid) + ":" + std::string(to_string(entry.how)) + (entry.keeps_uidl ? " " : "! ");
  }
  for (const auto entry : match.wanted_entries) out += "#" + std::to_string(entry) + " ";
  for (const auto uid : match.wanted_uids) out += "?" + std::to_string(uid) + " ";
  for (const auto& finding : match.findings) out += finding.code + "(" + std::to_string(finding.uid) + ") ";
  if (!out.empty()) out.pop_back();
  return out;
}

TEST(MatchDrop, ByFormulasWithUidValidity) {
  const auto inbox = inbox_of({{1, 10}, {3, 20}, {4, 30}});
  for (const auto& formula : known_uidl_formulas()) {
    if (!formula.has_uid_validity()) continue;
    std::vector<DropEntry> drop;
    for (const auto uid : {1U, 3U, 4U}) drop.push_back({.uidl = formula.make(uid, kValidity), .size = 99});  // sizes need not be told alike
    EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop)), "1:formula 3:formula 4:formula") << formula.text();
  }
}

TEST(MatchDrop, AFormulaIsToldWhereItFitsALongDrop) {
  for (const std::size_t size : {kFormulaFrom - 1, kFormulaFrom}) {
    std::vector<InboxMessage> inbox;
    std::vector<DropEntry> drop;
    for (storage::Uid uid = 1; uid <= size; ++uid) {
      inbox.push_back({.uid = uid, .size = uid});
      drop.push_back({.uidl = std::to_string(kValidity) + "." + std::to_string(uid), .size = uid});
    }
    EXPECT_EQ(match_drop(kValidity, inbox, drop).formula, size < kFormulaFrom ? "" : "%v.%u");
    drop.front().uidl = "kept from another server";
    EXPECT_EQ(match_drop(kValidity, inbox, drop).formula, "");
    EXPECT_EQ(match_drop(kValidity, inbox, drop).entries.front().uid, 1U) << "the only one left, and of the same size";
  }
}

// UIDLs of another server, kept, and those of this one after them.
TEST(MatchDrop, SeveralWaysInOneDrop) {
  const auto inbox = inbox_of({{1, 10}, {2, 20}, {3, 30}, {4, 40}});
  const auto drop = drop_of({{"GmailId1", 10}, {"GmailId2", 20}, {"000000036b03f491", 30}, {"1795421329.4", 40}});
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop)), "1:order 2:order 3:formula 4:formula");
}

TEST(MatchDrop, AFormulaThatCouldFitByChanceMustFitInEverything) {
  const auto inbox = inbox_of({{1, 10}, {2, 20}, {3, 20}});
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{"1", 10}, {"2", 20}, {"3", 20}}))), "1:formula 2:formula 3:formula");
  // Numbers of its own: 1 is the second message. (What looks like order is none: two have the same size.)
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{"1", 20}, {"2", 20}, {"3", 10}}))),
            "0:nothing 0:nothing 0:nothing #0 #1 #2 ?1 ?2 ?3");
  // Another order than that of the UIDs is no proof.
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{"3", 20}, {"2", 20}, {"1", 10}}))),
            "0:nothing 0:nothing 0:nothing #0 #1 #2 ?1 ?2 ?3");
  // A UIDVALIDITY that any number could be.
  EXPECT_EQ(text_of(match_drop(1, inbox, drop_of({{"1.1", 10}, {"1.2", 20}, {"1.3", 20}}))), "1:formula 2:formula 3:formula");
  EXPECT_EQ(text_of(match_drop(1, inbox, drop_of({{"1.1", 20}, {"1.2", 10}, {"1.3", 20}}))),
            "0:nothing 0:nothing 0:nothing #0 #1 #2 ?1 ?2 ?3");
}

TEST(MatchDrop, WhatIsGoneFromInboxIsNoOther) {
  const auto inbox = inbox_of({{1, 10}, {4, 20}});
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{"1795421329.1", 10}, {"1795421329.2", 20}}))),
            "1:formula 0:nothing uidl-unmatched(0) not-in-drop(0)");
}

TEST(MatchDrop, ByFile) {
  auto inbox = inbox_of({{1, 10}, {2, 10}});
  inbox[0].file = "1700000000.M1P2.host,S=8,W=10";
  inbox[1].file = "1600000000.M1P2.host,S=8,W=10";
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{inbox[1].file, 10}, {inbox[0].file, 10}}))), "2:file 1:file pop3-order(0)");
}

TEST(MatchDrop, ByOrderAndSize) {
  const auto inbox = inbox_of({{1, 10}, {2, 20}, {5, 10}, {9, 40}});
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{"a", 10}, {"b", 20}, {"c", 10}, {"d", 40}}))),
            "1:order 2:order 5:order 9:order");
  // One more or less on either side: nothing can be told by its place.
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop_of({{"a", 10}, {"b", 20}, {"c", 10}}))),
            "0:nothing 0:nothing 0:nothing #0 #1 #2 ?1 ?2 ?5 ?9");
  // Too many of one size.
  const auto same = inbox_of({{1, 10}, {2, 10}, {3, 10}, {4, 40}});
  EXPECT_EQ(text_of(match_drop(kValidity, same, drop_of({{"a", 10}, {"b", 10}, {"c", 10}, {"d", 40}}))),
            "0:nothing 0:nothing 0:nothing 0:nothing #0 #1 #2 #3 ?1 ?2 ?3 ?4");
}

TEST(MatchDrop, ByHeader) {
  auto inbox = inbox_of({{1, 10}, {2, 10}, {3, 10}, {4, 20}, {5, 30}});
  auto drop = drop_of({{"d", 20}, {"a", 10}, {"c", 10}, {"b", 10}, {"e", 31}});
  const auto headers = [&](std::string_view in_inbox, std::string_view in_drop) {
    for (std::size_t i = 0; i < inbox.size(); ++i) inbox[i].header = in_inbox.substr(i, 1);
    for (std::size_t i = 0; i < drop.size(); ++i) drop[i].header = in_drop.substr(i, 1);
    return text_of(match_drop(kValidity, inbox, drop));
  };
  EXPECT_EQ(headers("ABCDE", "DACBE"), "4:header 1:header 3:header 2:header 5:header pop3-order(0)")
      << "a size that is told in another way";
  EXPECT_EQ(headers("AACDE", "DACAE"), "4:header 1:header 3:header 2:header 5:header pop3-order(0)") << "copies are as good as each other";
  EXPECT_EQ(headers("AAADE", "DAZAE"), "4:header 0:nothing 0:nothing 0:nothing 5:header uidl-unmatched(0) not-in-drop(0)")
      << "two of three copies";
  inbox[2].header.clear();
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop)), "4:header 0:nothing 0:nothing 0:nothing 0:nothing ?3")
      << "one that is not known may be a copy of any, and the size of the last differs";
}

TEST(MatchDrop, UniqueIdsThatCannotBeKept) {
  const std::string longest(70, 'x');
  const auto inbox = inbox_of({{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}});
  const auto drop = drop_of({{longest, 1}, {longest + "x", 2}, {"", 3}, {"a b", 4}, {"\xc3\xa9", 5}, {"a", 6}, {"a", 7}});
  EXPECT_EQ(text_of(match_drop(kValidity, inbox, drop)),
            "1:order 2:order! 3:order! 4:order! 5:order! 6:order 7:order "
            "uidl-not-kept(2) uidl-not-kept(3) uidl-not-kept(4) uidl-not-kept(5) uidl-twice(7)");
  // One message cannot be two.
  EXPECT_EQ(text_of(match_drop(kValidity, inbox_of({{1, 1}, {2, 1}}), drop_of({{"1795421329.1", 1}, {"1795421329.1", 1}}))),
            "1:formula 0:nothing uidl-twice(0) uidl-unmatched(0) not-in-drop(0)");
}

TEST(MatchDrop, EmptyOnes) {
  EXPECT_EQ(text_of(match_drop(kValidity, {}, {})), "");
  EXPECT_EQ(text_of(match_drop(kValidity, inbox_of({{1, 1}}), {})), "not-in-drop(0)");
  EXPECT_EQ(text_of(match_drop(kValidity, {}, drop_of({{"a", 1}}))), "0:nothing uidl-unmatched(0)");
}

// However little is known, and however long it is asked: what is matched is right.
TEST(MatchDrop, IsNeverWrong) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random); };
  std::size_t found = 0;
  for (int round = 0; round < 3'000; ++round) {
    std::vector<InboxMessage> inbox;
    std::vector<std::string> headers;
    const auto sizes = 1 + below(40);
    storage::Uid uid = 0;
    for (auto count = below(30); count > 0; --count) {
      uid += static_cast<storage::Uid>(1 + below(3));
      inbox.push_back({.uid = uid, .size = below(sizes)});
      headers.push_back("header " + std::to_string(uid));
    }
    // The drop is INBOX in its order or in any, without a few.
    std::vector<std::size_t> order(inbox.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const bool shuffled = below(2) == 0;
    if (shuffled) std::ranges::shuffle(order, random);
    const auto way = below(3);
    std::vector<DropEntry> drop;
    std::vector<std::size_t> truth;
    for (const auto i : order) {
      if (shuffled && below(10) == 0) continue;
      DropEntry entry{.uidl = "own" + std::to_string(1'000 - i), .size = inbox[i].size};
      if (way == 0) entry.uidl = UidlFormula("%08xu%08xv").make(inbox[i].uid, kValidity);
      drop.push_back(std::move(entry));
      truth.push_back(i);
    }
    auto done = match_drop(kValidity, inbox, drop);
    for (const auto i : done.wanted_entries) drop[i].header = headers[truth[i]];
    for (const auto wanted : done.wanted_uids) {
      const auto i = static_cast<std::size_t>(std::ranges::lower_bound(inbox, wanted, {}, &InboxMessage::uid) - inbox.begin());
      inbox[i].header = headers[i];
    }
    done = match_drop(kValidity, inbox, drop);
    EXPECT_TRUE(done.wanted_entries.empty() || done.wanted_uids.empty());
    for (std::size_t i = 0; i < drop.size(); ++i) {
      // By order alone, shuffled ones could be taken for others of the same size.
      if (shuffled && done.entries[i].how == FoundBy::order)
        EXPECT_EQ(inbox[truth[i]].size, drop[i].size);
      else
        EXPECT_EQ(done.entries[i].uid, inbox[truth[i]].uid) << to_string(done.entries[i].how);
      found += done.entries[i].uid != 0 ? 1 : 0;
    }
  }
  EXPECT_GT(found, 0U);
}

TEST(HeaderDigest, IsThatOfTheMessageAlone) {
  const auto plain = header_digest("Subject: a\r\nTo: b\r\n c\r\n\r\nbody");
  EXPECT_FALSE(plain.empty());
  for (const auto* same :
       {"Subject: a\nTo: b\n c\n\n", "Subject: a\r\nTo: b\r\n c\r\n", "Subject: a\r\nTo: b\r\n c",
        "Status: RO\r\nSubject: a\r\nX-UIDL: 1\r\n 2\r\n\t3\r\nTo: b\r\n c\r\nX-Keywords : \r\ncontent-length: 9\r\n\r\n"})
    EXPECT_EQ(header_digest(same), plain) << same;
  for (const auto* other :
       {"", "Subject: a\r\nTo: b\r\n\r\n c\r\n", "Subject: a\r\nTo: b c\r\n", "Subject: a\r\nTo: b\r\n c\r\nX-Status-2: x\r\n"})
    EXPECT_NE(header_digest(other), plain) << other;
}

}  // namespace
}  // namespace relais::migrate
