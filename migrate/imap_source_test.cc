// Accounts on IMAP servers of each kind: what is asked, and what is made of the answers.
#include "migrate/imap_source.h"

#include "imap/client/testing.h"
#include "migrate/imap_listing.h"
#include "migrate/imap_messages.h"

#include <gtest/gtest.h>

#include <functional>

namespace relais::migrate {
namespace {

using imap::testing::word_for;
using net::asio::awaitable;

struct Talked {
  std::string result;
  std::string said;  ///< behind the login
};

/// The server is a text: all that it says behind the login.
Talked talk(const std::string& capabilities, const std::string& hears, const std::function<awaitable<std::string>(Source&)>& body,
            std::size_t chunk = net::Script::kNever) {
  net::Script script;
  script.to_server = imap::testing::welcome(capabilities) + hears;
  script.chunk = chunk;
  auto options = imap::testing::options_for();
  options.limits.inlined = 16;
  Talked talked;
  auto session = [&](std::unique_ptr<net::Connection> connection) -> awaitable<void> {
    auto client = co_await imap::Client::open(std::move(connection), options);
    auto source = co_await open_imap_source(std::move(*client), {.batch = 3, .message_octets = 40});
    talked.result = source ? co_await body(**source) : "no: " + word_for(source.error());
  };
  net::play(script, session);
  talked.said = script.from_server.substr(imap::testing::kLoginLine.size());
  return talked;
}

std::string text_of(const SourceMessage& message) {
  std::string out = std::to_string(message.uid) + ":" + std::to_string(message.system_flags);
  for (const auto& keyword : message.keywords) out += "," + keyword;
  for (const auto& flag : message.odd_flags) out += ",odd " + flag;
  if (message.mod_seq != 0) out += "@" + std::to_string(message.mod_seq);
  if (message.size) out += " " + std::to_string(*message.size) + " octets";
  if (message.internal_date) out += " at " + std::to_string(*message.internal_date);
  return out;
}

std::string text_of(const std::vector<SourceMessage>& messages) {
  std::string out;
  for (const auto& message : messages) out.append(out.empty() ? "" : "; ").append(text_of(message));
  return out;
}

std::string text_of(const Cursor& cursor) {
  return std::to_string(cursor.uid_validity) + "/" + std::to_string(cursor.uid_next) + "/" + std::to_string(cursor.highest_mod_seq) + "/" +
         std::to_string(cursor.messages);
}

std::string text_of(const SourceListing& listing) {
  std::string out;
  for (const auto& mailbox : listing.mailboxes) {
    out += mailbox.name + (mailbox.name_changed ? "!" : mailbox.recomposed ? "~" : "") + "=" + mailbox.wire + " " + text_of(mailbox.state);
    if (!mailbox.selectable) out += " unselectable";
    if (mailbox.subscribed) out += " subscribed";
    if (mailbox.special_use != 0) out += " use " + std::to_string(mailbox.special_use);
    if (!mailbox.problem.empty()) out += " problem " + mailbox.problem;
    out += "\n";
  }
  for (const auto& name : listing.subscriptions) out += "+" + name + "\n";
  for (const auto& left : listing.left) out += "left " + left.wire + (left.shared ? " shared" : "") + "\n";
  return out;
}

awaitable<std::string> list(Source& source) {
  const auto listing = co_await source.list();
  co_return listing ? source.traits().described + "\n" + text_of(*listing) : word_for(listing.error());
}

TEST(ImapSource, ListsOnAServerThatHasEverything) {
  const auto talked = talk(
      "QRESYNC CONDSTORE ENABLE NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE",
      "* ENABLED QRESYNC\r\nr2 OK\r\n* NAMESPACE ((\"\" \"/\")) ((\"~\" \"/\")) ((\"Shared/\" \"/\"))\r\nr3 OK\r\n"
      "* LIST (\\Subscribed) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 2 UIDNEXT 9 UIDVALIDITY 5 HIGHESTMODSEQ 77)\r\n"
      "* LIST (\\Sent \\Trash) \"/\" \"z/Sent &AOk-\"\r\n* STATUS \"z/Sent &AOk-\" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 6 HIGHESTMODSEQ 1)\r\n"
      "* LIST (\\Noselect) \"/\" z\r\n* LIST (\\NonExistent \\Subscribed) \"/\" gone\r\n* LIST () \"/\" ~bob/x\r\n* LIST () \"/\" "
      "Shared/all\r\n"
      "r4 OK\r\n* LSUB () \"/\" INBOX\r\n* LSUB () \"/\" other\r\nr5 OK\r\n",
      list);
  EXPECT_EQ(talked.result,
            "QRESYNC, LIST-STATUS\nINBOX=INBOX 5/9/77/2 subscribed\nz=z 0/0/0/0 unselectable\n"
            "z/Sent \xc3\xa9=z/Sent &AOk- 6/1/1/0 use 96\n+INBOX\n+gone\n+other\nleft ~bob/x shared\nleft Shared/all shared\n");
  EXPECT_EQ(
      talked.said,
      "r2 ENABLE QRESYNC\r\nr3 NAMESPACE\r\n"
      "r4 LIST \"\" \"*\" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))\r\nr5 LSUB \"\" \"*\"\r\n");
}

TEST(ImapSource, ListsOnAPlainServer) {
  const auto talked =
      talk("NAMESPACE",
           "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\nr2 OK\r\n"
           "* LIST () \".\" INBOX.Work.2024\r\n* LIST () \".\" INBOX\r\n* LIST () \".\" outside\r\n* LIST () \".\" \"INBOX.a/b\"\r\n"
           "* LIST () \".\" INBOX.closed\r\n* LIST () \".\" {8}\r\nINBOX.\xff\xfe\r\nr3 OK\r\n"
           "* LSUB () \".\" INBOX.Work.2024\r\nr4 OK\r\n"
           // The name that needs a literal comes first by name ("%FF…"), its command alone.
           "+ go\r\n* STATUS {8}\r\nINBOX.\xff\xfe (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 11)\r\nr5 OK\r\n"
           "* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 9)\r\nr6 OK\r\n"
           "* STATUS INBOX.Work.2024 (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 10)\r\nr7 OK\r\n"
           "* STATUS INBOX.a/b (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 12)\r\nr8 OK\r\nr9 NO Permission denied\r\n",
           list);
  EXPECT_EQ(talked.result,
            "plain IMAP\nINBOX=INBOX 9/2/0/1\n%FF%FE!=INBOX.\xff\xfe 11/1/0/0\nWork/2024=INBOX.Work.2024 10/4/0/3 subscribed\n"
            "a%2Fb=INBOX.a/b 12/1/0/0\nclosed=INBOX.closed 0/0/0/0 problem Permission denied\n+Work/2024\nleft outside\n");
  EXPECT_TRUE(talked.said.starts_with("r2 NAMESPACE\r\nr3 LIST \"\" \"*\"\r\nr4 LSUB \"\" \"*\"\r\n")) << talked.said;
}

TEST(ImapSource, ASeparatorWithoutNamespace) {
  const auto talked = talk("",
                           "* LIST (\\Noselect) \"\\\\\" \"\"\r\nr2 OK\r\n* LIST () \"\\\\\" \"a\\\\b\"\r\nr3 OK\r\nr4 OK\r\n* STATUS "
                           "\"a\\\\b\" (UIDVALIDITY 3)\r\nr5 OK\r\n",
                           list);
  EXPECT_EQ(talked.result, "plain IMAP\na/b=a\\b 3/0/0/0\n");
}

// The storage keeps names in NFC: under any other one a mailbox would not be found again, and be taken for gone and for new in each pass.
TEST(ImapListing, NamesAreThoseThatTheStorageLists) {
  ImapListed listed;
  const auto names = [](std::initializer_list<std::string> all) {
    std::vector<imap::ListedMailbox> out;
    for (const auto& name : all) out.emplace_back().name = {name, name};
    return out;
  };
  const std::string composed = "Caf\xc3\xa9";
  const std::string apart = "Cafe\xcc\x81";
  listed.mailboxes = names({"INBOX", apart + "/x", "twice " + composed, "twice " + apart, "a//b", std::string(256, 'x')});
  listed.subscribed = names({apart + "/x", "gone " + apart, "a//b"});
  EXPECT_EQ(text_of(make_listing({}, listed)), "INBOX=INBOX 0/0/0/0\n" + composed + "/x~=" + apart + "/x 0/0/0/0 subscribed\ntwice " +
                                                   composed + "=twice " + composed + " 0/0/0/0\n+" + composed + "/x\n+gone " + composed +
                                                   "\nleft twice " + apart + "\nleft a//b\nleft " + std::string(256, 'x') + "\n");
  // Elsewhere such a name is written in a way that gives back the client's own octets.
  listed = {.mailboxes = names({"INBOX." + apart})};
  EXPECT_EQ(text_of(make_listing({'.', "INBOX."}, listed)), "Cafe%CC%81=INBOX." + apart + " 0/0/0/0\n");
}

TEST(ImapSource, Changes) {
  struct Row {
    const char* what;
    std::string capabilities;
    std::string hears;  ///< behind what opening asks
    std::string says;
    Cursor since;
    std::string known;
    std::string result;
  };
  const std::string qresync = "QRESYNC ENABLE NAMESPACE";
  const std::string condstore = "CONDSTORE NAMESPACE";
  const std::string plain = "NAMESPACE";
  const auto selected = [](std::string_view exists, std::string_view rest) {
    return "* " + std::string(exists) + " EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 10] x\r\n" + std::string(rest);
  };
  const std::vector<Row> rows{
      {"first, QRESYNC",
       qresync,
       selected("2", "* OK [HIGHESTMODSEQ 70] x\r\n") +
           "r4 OK\r\n"
           "* 2 FETCH (UID 9 FLAGS (\\Seen $b $a \\Recent \\Odd) RFC822.SIZE 12 INTERNALDATE \" 5-Jan-2024 10:00:00 +0000\" MODSEQ "
           "(70))\r\n"
           "* 1 FETCH (UID 4 FLAGS () RFC822.SIZE 11 INTERNALDATE \" 5-Jan-2024 10:00:01 +0000\" MODSEQ (60))\r\nr5 OK\r\n",
       "r4 EXAMINE \"INBOX\"\r\nr5 UID FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE MODSEQ)\r\n",
       {},
       "",
       "5/10/70/2 restarted all 4,9 | 4:0@60 11 octets at 1704448801; 9:1,$a,$b,odd \\Odd@70 12 octets at 1704448800 | "},
      {"QRESYNC",
       qresync,
       selected("2", "* OK [HIGHESTMODSEQ 90] x\r\n* VANISHED (EARLIER) 2:3\r\n* 1 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (90))\r\n") +
           "r4 OK\r\n",
       "r4 EXAMINE \"INBOX\" (QRESYNC (5 70))\r\n",
       {5, 10, 70, 4},
       "2:4,9",
       "5/10/90/2 | 4:1@90 | 2:3"},
      {"QRESYNC, another UIDVALIDITY",
       qresync,
       selected("1", "* OK [HIGHESTMODSEQ 3] x\r\n") + "r4 OK\r\n* 1 FETCH (UID 1 FLAGS () MODSEQ (2))\r\nr5 OK\r\n",
       "r4 EXAMINE \"INBOX\" (QRESYNC (4 70))\r\nr5 UID FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE MODSEQ)\r\n",
       {4, 10, 70, 4},
       "",
       "5/10/3/1 restarted all 1 | 1:0@2 | "},
      {"QRESYNC, of one message nobody has told",
       qresync,
       selected("3", "* OK [HIGHESTMODSEQ 90] x\r\n") +
           "r4 OK\r\n* SEARCH 4 9 12\r\nr5 OK\r\n* 3 FETCH (UID 12 FLAGS () MODSEQ (80))\r\nr6 OK\r\n",
       "r4 EXAMINE \"INBOX\" (QRESYNC (5 70))\r\nr5 UID SEARCH ALL\r\nr6 UID FETCH 12 (UID FLAGS MODSEQ)\r\n",
       {5, 10, 70, 4},
       "4,9",
       "5/10/90/3 all 4,9,12 | 12:0@80 | "},
      {"CONDSTORE, nothing new",
       condstore,
       selected("2", "* OK [HIGHESTMODSEQ 70] x\r\n") + "r3 OK\r\n",
       "r3 EXAMINE \"INBOX\" (CONDSTORE)\r\n",
       {5, 10, 70, 2},
       "4,9",
       "5/10/70/2 |  | "},
      {"CONDSTORE, changed and gone",
       condstore,
       selected("2", "* OK [HIGHESTMODSEQ 90] x\r\n") +
           "r3 OK\r\n* 2 FETCH (UID 10 FLAGS () MODSEQ (90))\r\nr4 OK\r\n* SEARCH 4 10\r\nr5 OK\r\n",
       "r3 EXAMINE \"INBOX\" (CONDSTORE)\r\nr4 UID FETCH 1:* (UID FLAGS MODSEQ) (CHANGEDSINCE 70)\r\nr5 UID SEARCH ALL\r\n",
       {5, 10, 70, 2},
       "4,9",
       "5/10/90/2 all 4,10 | 10:0@90 | "},
      {"CONDSTORE, a mailbox without MODSEQ",
       condstore,
       selected("1", "* OK [NOMODSEQ] x\r\n") + "r3 OK\r\n* 1 FETCH (UID 4 FLAGS ())\r\nr4 OK\r\n",
       "r3 EXAMINE \"INBOX\" (CONDSTORE)\r\nr4 UID FETCH 1:* (UID FLAGS)\r\n",
       {5, 10, 70, 1},
       "4",
       "5/10/0/1 all 4 | 4:0 | "},
      {"plain",
       plain,
       selected("1", "") + "r3 OK\r\n* 1 FETCH (UID 4 FLAGS (\\Deleted))\r\nr4 OK\r\n",
       "r3 EXAMINE \"INBOX\"\r\nr4 UID FETCH 1:* (UID FLAGS)\r\n",
       {5, 10, 0, 2},
       "4,9",
       "5/10/0/1 all 4 | 4:8 | "},
      {"plain, empty", plain, selected("0", "") + "r3 OK\r\n", "r3 EXAMINE \"INBOX\"\r\n", {5, 10, 0, 2}, "4,9", "5/10/0/0 all  |  | "},
      {"expunged by others meanwhile",
       plain,
       selected("3", "") + "r3 OK\r\n* 1 FETCH (UID 4 FLAGS ())\r\n* 2 EXPUNGE\r\nr4 OK\r\n* SEARCH 4\r\nr5 OK\r\n",
       "r3 EXAMINE \"INBOX\"\r\nr4 UID FETCH 1:* (UID FLAGS)\r\nr5 UID SEARCH ALL\r\n",
       {5, 10, 0, 2},
       "4,9",
       "5/10/0/3 all 4 | 4:0 | "},
      // What is not told is not taken for gone.
      {"not told of",
       plain,
       selected("2", "") + "r3 OK\r\n* 1 FETCH (UID 4 FLAGS ())\r\nr4 OK\r\n* SEARCH 4 9\r\nr5 OK\r\n",
       "r3 EXAMINE \"INBOX\"\r\nr4 UID FETCH 1:* (UID FLAGS)\r\nr5 UID SEARCH ALL\r\n",
       {5, 10, 0, 2},
       "4,9",
       "corrupt"},
      {"garbled",
       plain,
       selected("1", "") + "r3 OK\r\n* 1 FETCH (UID 4 FLAGS (\r\nr4 OK\r\n",
       "r3 EXAMINE \"INBOX\"\r\nr4 UID FETCH 1:* (UID FLAGS)\r\n",
       {5, 10, 0, 2},
       "4,9",
       "corrupt"},
      {"no UIDVALIDITY", plain, "* 1 EXISTS\r\nr3 OK\r\n", "r3 EXAMINE \"INBOX\"\r\n", {5, 10, 0, 2}, "", "corrupt"},
      {"gone", plain, "r3 NO no such thing\r\n", "r3 EXAMINE \"INBOX\"\r\n", {5, 10, 0, 2}, "", "refused NONEXISTENT"},
      {"connection lost", plain, "* 1 EXISTS\r\n", "r3 EXAMINE \"INBOX\"\r\n", {5, 10, 0, 2}, "", "temporary"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    const std::string opening = (row.capabilities == qresync ? "* ENABLED QRESYNC\r\nr2 OK\r\n" : "") +
                                std::string("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n") + (row.capabilities == qresync ? "r3" : "r2") +
                                " OK\r\n";
    for (const std::size_t chunk : {std::size_t{1}, net::Script::kNever}) {
      const auto talked = talk(
          row.capabilities, opening + row.hears,
          [&](Source& source) -> awaitable<std::string> {
            SourceMailbox mailbox;
            mailbox.wire = mailbox.name = "INBOX";
            const auto known = NumberSet::parse(row.known).value_or(NumberSet{});
            const auto changes = co_await source.changes(mailbox, row.since, known);
            if (!changes) co_return word_for(changes.error());
            std::string out = text_of(changes->state);
            if (changes->restarted) out += " restarted";
            if (changes->all) out += " all " + changes->all->to_string();
            co_return out + " | " + text_of(changes->changed) + " | " + changes->vanished.to_string();
          },
          chunk);
      EXPECT_EQ(talked.result, row.result);
      EXPECT_TRUE(talked.said.ends_with("NAMESPACE\r\n" + row.says)) << talked.said;
    }
  }
}

/// Keeps what comes as text.
class Collector final : public MessageReceiver {
 public:
  net::Task<void> take(Message message) override {
    if (message.about.uid == fail_at) co_return fail(Fault::temporary, "full", "STORAGE_FULL");
    text += text_of(message.about) + " \"" + std::string(message.octets) + "\"\n";
    co_return Result<void>{};
  }
  net::Task<void> unreadable(Uid uid, Error why) override {
    text += std::to_string(uid) + " unreadable " + why.text + "\n";
    co_return Result<void>{};
  }
  std::string text;
  Uid fail_at = 0;
};

const std::string kOpened = "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nr2 OK\r\n* 9 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\nr3 OK\r\n";

Talked read(const std::string& hears, std::string_view uids, Uid fail_at = 0, std::size_t chunk = net::Script::kNever) {
  return talk(
      "NAMESPACE", kOpened + hears,
      [&](Source& source) -> awaitable<std::string> {
        SourceMailbox mailbox;
        mailbox.wire = mailbox.name = "INBOX";
        mailbox.state.uid_validity = 5;
        Collector collector;
        collector.fail_at = fail_at;
        const auto done = co_await source.messages(mailbox, *NumberSet::parse(uids), collector);
        co_return collector.text + (done ? "ok" : word_for(done.error()));
      },
      chunk);
}

TEST(ImapSource, MessagesInBatchesSmallAndLarge) {
  const std::string hears =
      "* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {3}\r\none)\r\n* 2 FETCH (BODY[] {20}\r\ntwo45678901234567890 UID 2 FLAGS ($k))\r\n"
      "* 2 FETCH (FLAGS (\\Seen) UID 2)\r\n* 3 FETCH (UID 7 FLAGS () BODY[] {0}\r\n)\r\nr4 OK\r\n"
      "* 4 FETCH (UID 8 FLAGS () BODY[] {41}\r\n12345678901234567890123456789012345678901)\r\n* 5 FETCH (UID 9 FLAGS () BODY[] NIL)\r\nr5 "
      "OK\r\n";
  for (const std::size_t chunk : {std::size_t{1}, net::Script::kNever}) {
    const auto talked = read(hears, "1:2,7:9", 0, chunk);
    EXPECT_EQ(talked.result,
              "1:1 \"one\"\n2:0,$k \"two45678901234567890\"\n7:0 \"\"\n8 unreadable the message is too large\n"
              "9 unreadable the server has no octets of it (NIL)\nok");
    EXPECT_TRUE(
        talked.said.ends_with("r4 UID FETCH 1:2,7 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])\r\n"
                              "r5 UID FETCH 8:9 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])\r\n"));
  }
}

TEST(ImapSource, OneMessageThatCannotBeReadDoesNotStopTheOthers) {
  // The first FETCH ends with NO after one message; its rest is asked for in halves.
  const auto talked = read(
      "* 1 FETCH (UID 1 FLAGS () BODY[] {3}\r\none)\r\nr4 NO [SERVERBUG] message is broken\r\n"
      "r5 NO message is broken\r\n* SEARCH 2\r\nr6 OK\r\n* 3 FETCH (UID 3 FLAGS () BODY[] {5}\r\nthree)\r\nr7 OK\r\n",
      "1:3");
  EXPECT_EQ(talked.result, "1:0 \"one\"\n2 unreadable the server refuses FETCH\n3:0 \"three\"\nok");
}

TEST(ImapSource, GoneMessagesArePassedOverAndGarbledOnesTold) {
  const auto talked =
      read("* 2 FETCH (UID 2 FLAGS (\r\n* 3 FETCH (UID 3 FLAGS () BODY[] {5}\r\nthree)\r\nr4 OK\r\n* SEARCH 2\r\nr5 OK\r\n", "1:3");
  EXPECT_EQ(talked.result, "3:0 \"three\"\n2 unreadable the server's answer makes no sense\nok");
}

TEST(ImapSource, TheReceiverEndsTheReading) {
  const auto talked =
      read("* 1 FETCH (UID 1 FLAGS () BODY[] {3}\r\none)\r\n* 2 FETCH (UID 2 FLAGS () BODY[] {3}\r\ntwo)\r\nr4 OK\r\n", "1:9", 1);
  EXPECT_EQ(talked.result, "temporary STORAGE_FULL");
}

TEST(ImapSource, AnotherUidValidityThanTheCallerKnows) {
  const auto talked = talk("NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nr2 OK\r\n* 9 EXISTS\r\n* OK [UIDVALIDITY 6] x\r\nr3 OK\r\n",
                           [](Source& source) -> awaitable<std::string> {
                             SourceMailbox mailbox;
                             mailbox.wire = "INBOX";
                             mailbox.state.uid_validity = 5;
                             Collector collector;
                             co_return word_for((co_await source.messages(mailbox, NumberSet({1, 3}), collector)).error());
                           });
  EXPECT_EQ(talked.result, "refused UIDVALIDITY");
}

TEST(ImapSource, EverythingOfSome) {
  const std::string selected = "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nr2 OK\r\n* 9 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\nr3 OK\r\n";
  const auto ask = [](std::uint32_t validity) {
    return [validity](Source& source) -> awaitable<std::string> {
      SourceMailbox mailbox;
      mailbox.wire = "INBOX";
      mailbox.state.uid_validity = validity;
      NumberSet uids({3, 4});
      uids.add(9);
      const auto found = co_await source.everything(mailbox, uids);
      co_return found ? text_of(*found) : word_for(found.error());
    };
  };
  // One is gone, and one that nobody asked for has changed.
  const auto talked = talk("NAMESPACE",
                           selected +
                               "* 8 FETCH (UID 9 FLAGS (\\Seen) RFC822.SIZE 3)\r\n* 2 FETCH (UID 2 FLAGS ())\r\n"
                               "* 3 FETCH (UID 3 FLAGS () RFC822.SIZE 4)\r\nr4 OK\r\n",
                           ask(5));
  EXPECT_EQ(talked.result, "3:0 4 octets; 9:1 3 octets");
  EXPECT_TRUE(talked.said.ends_with("EXAMINE \"INBOX\"\r\nr4 UID FETCH 3:4,9 (UID FLAGS RFC822.SIZE INTERNALDATE)\r\n")) << talked.said;
  EXPECT_EQ(talk("NAMESPACE", selected, ask(6)).result, "refused UIDVALIDITY");
}

TEST(ImapSource, Extras) {
  const auto talked =
      talk("NAMESPACE QUOTA ACL METADATA",
           "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nr2 OK\r\n* QUOTAROOT INBOX user\r\n* QUOTA user (STORAGE 10 512)\r\nr3 OK\r\n"
           "* METADATA \"\" (/shared/admin \"me\")\r\nr4 OK\r\n* ACL INBOX ann lrswipkxtea \"bob b\" lr\r\nr5 OK\r\n"
           "* METADATA INBOX (/private/comment {3}\r\na\"b /private/none NIL)\r\nr6 OK\r\n",
           [](Source& source) -> awaitable<std::string> {
             SourceListing listing;
             listing.mailboxes.resize(1);
             listing.mailboxes[0].wire = listing.mailboxes[0].name = "INBOX";
             const auto extras = co_await source.extras(listing);
             if (!extras) co_return word_for(extras.error());
             std::string out;
             for (const auto& one : extras->quota)
               out += one.root + " " + one.resource + " " + std::to_string(one.usage) + "/" + std::to_string(one.limit) + "\n";
             for (const auto* entries : {&extras->acl, &extras->metadata}) {
               for (const auto& one : *entries) out += one.mailbox + "|" + one.name + "|" + one.value + "\n";
             }
             co_return out;
           });
  EXPECT_EQ(talked.result,
            "user STORAGE 10/512\nINBOX|acl/ann|lrswipkxtea\nINBOX|acl/bob b|lr\n|/shared/admin|me\nINBOX|/private/comment|a\"b\n");
}

TEST(ImapMessages, SortedAndTheLastCounts) {
  const auto sorted = [](std::vector<std::pair<Uid, ModSeq>> given) {
    std::vector<SourceMessage> messages(given.size());
    for (std::size_t i = 0; i < given.size(); ++i) std::tie(messages[i].uid, messages[i].mod_seq) = given[i];
    sort_messages(messages);
    return text_of(messages);
  };
  EXPECT_EQ(sorted({}), "");
  EXPECT_EQ(sorted({{1, 1}, {2, 2}}), "1:0@1; 2:0@2");
  EXPECT_EQ(sorted({{2, 1}, {1, 2}, {2, 3}, {3, 4}}), "1:0@2; 2:0@3; 3:0@4");
  EXPECT_EQ(sorted({{2, 1}, {2, 9}}), "2:0@9");
}

TEST(ImapMessages, Batches) {
  const auto text = [](std::string_view set, std::uint32_t count) {
    std::string out;
    for (const auto& batch : in_batches(*NumberSet::parse(set), count)) out += batch.to_string() + " ";
    return out;
  };
  EXPECT_EQ(text("1:10,20,4294967290:4294967295", 4), "1:4 5:8 9:10,20,4294967290 4294967291:4294967294 4294967295 ");
  EXPECT_TRUE(in_batches({}, 4).empty());
}

TEST(ImapSource, MasterLogins) {
  directory::LegacyPlatform platform;
  EXPECT_EQ(word_for(master_login(platform, "ann").error()), "refused CANNOT");
  platform.master = {directory::LegacyMaster::Way::format, "boss", "secret", "%u*%m"};
  EXPECT_EQ(master_login(platform, "ann")->user, "ann*boss");
  platform.master.way = directory::LegacyMaster::Way::authzid;
  const auto proxied = master_login(platform, "ann");
  EXPECT_EQ(proxied->user + " " + proxied->authenticate_as + " " + proxied->password, "ann boss secret");
  EXPECT_EQ(proxied->way, imap::ClientLogin::Way::proxied);
}

}  // namespace
}  // namespace relais::migrate
