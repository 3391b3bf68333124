// The commands with few arguments: table per command, then every prefix of each input.
#include <gtest/gtest.h>

#include <string>

#include "imap/proto/append.h"
#include "imap/proto/authenticate.h"
#include "imap/proto/copy.h"
#include "imap/proto/create.h"
#include "imap/proto/enable.h"
#include "imap/proto/expunge.h"
#include "imap/proto/id.h"
#include "imap/proto/list.h"
#include "imap/proto/login.h"
#include "imap/proto/mailbox_args.h"
#include "imap/proto/quota.h"
#include "imap/proto/rename.h"
#include "imap/proto/select.h"
#include "imap/proto/status.h"
#include "imap/proto/store.h"
#include "imap/proto/testing.h"

namespace relais::imap {
namespace {

using namespace std::string_literals;

/// Runs each row through `parse` and compares what `show` makes of the result; feeds the prefixes too.
struct Row {
  std::string input;
  std::string value;
};
template <class Parse, class Show>
void check(std::initializer_list<Row> table, Parse&& parse, Show&& show) {
  for (const auto& row : table) {
    const auto result = parse(std::string_view(row.input));
    EXPECT_EQ(result ? show(*result) : testing::outcome(result), row.value) << row.input;
    testing::feed_every_prefix(row.input, parse);
  }
}

std::string flags_text(const FlagList& flags) {
  auto out = std::to_string(flags.system);
  for (const auto& k : flags.keywords) out += "," + k;
  return out;
}

TEST(Login, Arguments) {
  check(
      {{" SMITH SESAME", "SMITH|SESAME"},  // RFC 9051 §6.2.3
       {" {11}\r\nFRED FOOBAR {7}\r\nfat man", "FRED FOOBAR|fat man"},
       {" \"a\" \"\"", "a|"},
       {" SMITH", "syntax: expected SP"},
       {" SMITH SESAME x", "syntax: expected end of command"},
       {" a \"\xFF\"", "syntax: expected UTF-8 in quoted string"}},
      [](std::string_view t) { return parse_login(t); }, [](const LoginArgs& a) { return a.user + "|" + a.password; });
}

TEST(Authenticate, Arguments) {
  check(
      {{" plain", "PLAIN"},
       {" PLAIN AHRlc3QAdGVzdA==", "PLAIN|\0test\0test"s},  // RFC 4959 §6
       {" EXTERNAL =", "EXTERNAL|"},
       {" SCRAM-SHA-256 biws", "SCRAM-SHA-256|n,,"},
       {" PLAIN ", "syntax: expected base64"},
       {" PLAIN x", "syntax: expected base64"},
       {" PLAIN AHRlc3QAdGVzdA== x", "syntax: expected base64"},
       {"", "syntax: expected SP"},
       {" (", "syntax: expected atom"}},
      [](std::string_view t) { return parse_authenticate(t); },
      [](const AuthenticateArgs& a) { return a.initial ? a.mechanism + "|" + *a.initial : a.mechanism; });
  EXPECT_EQ(parse_sasl_response("*")->has_value(), false);
  EXPECT_EQ(**parse_sasl_response(""), "");
  EXPECT_EQ(**parse_sasl_response("dGVzdA=="), "test");
  EXPECT_EQ(testing::outcome(parse_sasl_response("!")), "syntax: expected base64");
}

TEST(Select, Arguments) {
  check(
      {{" INBOX", "INBOX"},
       {" INBOX (CONDSTORE)", "INBOX condstore"},  // RFC 7162 §3.1.8
       {" INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))", "INBOX 67890007 20050715194045000 uids 41,43:211,214:541"},
       {" INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1:4 41:44)))",
        "INBOX 67890007 90060115194045000 uids 41:211,214:541 match 1:4=41:44"},
       {" INBOX (QRESYNC (1 2 (5,9,12 15,27,29)))", "INBOX 1 2 match 5,9,12=15,27,29"},
       {" INBOX (CONDSTORE QRESYNC (1 2))", "INBOX condstore 1 2"},
       {" INBOX (QRESYNC (0 2))", "syntax: expected nz-number"},
       {" INBOX (QRESYNC (1 0))", "syntax: expected nz-number below 2^63"},
       {" INBOX (QRESYNC (1 2 1:*))", "syntax: expected set without \"*\" and \"$\""},
       {" INBOX (QRESYNC (1 2 1:3 (1:2 7)))", "syntax: expected as many UIDs as sequence numbers"},
       {" INBOX (QRESYNC (1 2) QRESYNC (1 2))", "syntax: expected CONDSTORE or QRESYNC"},
       {" INBOX (FOO)", "syntax: expected CONDSTORE or QRESYNC"},
       {" INBOX ()", "syntax: expected CONDSTORE or QRESYNC"},
       {" INBOX ", "syntax: expected select parameters"}},
      [](std::string_view t) { return parse_select(t); },
      [](const SelectArgs& a) {
        auto out = a.mailbox + (a.condstore ? " condstore" : "");
        if (!a.qresync) return out;
        out += " " + std::to_string(a.qresync->uid_validity) + " " + std::to_string(a.qresync->mod_seq);
        if (a.qresync->known_uids) out += " uids " + a.qresync->known_uids->to_string();
        if (const auto& m = a.qresync->seq_match) out += " match " + m->sequences.to_string() + "=" + m->uids.to_string();
        return out;
      });
}

TEST(Create, Arguments) {
  check(
      {{" owatagusiam/", "owatagusiam 0 hierarchy"},  // RFC 9051 §6.3.4
       {" a/b", "a/b 0"},
       {" MySpecial (USE (\\Drafts \\sent))", "MySpecial 36"},  // RFC 6154 §5.3
       {" a (USE ())", "a 0"},
       {" a (USE (\\Foo))", "refused [USEATTR]: No such special use"},
       {" a (USE (Sent))", "syntax: expected special use"},
       {" a (OTHER x)", "syntax: expected USE"},
       {" /", "/ 0"}},
      [](std::string_view t) { return parse_create(t); },
      [](const CreateArgs& a) { return a.mailbox + " " + std::to_string(a.special_use) + (a.names_hierarchy ? " hierarchy" : ""); });
}

TEST(OneMailbox, Arguments) {
  check(
      {{" blurdybloop", "blurdybloop"}, {" inbox x", "syntax: expected end of command"}, {"", "syntax: expected SP"}},
      [](std::string_view t) { return parse_mailbox(t); }, [](const MailboxArgs& a) { return a.mailbox; });
}

TEST(Rename, Arguments) {
  check(
      {{" blurdybloop sarasoop", "blurdybloop>sarasoop"}, {" a", "syntax: expected SP"}, {" a b (X)", "syntax: expected end of command"}},
      [](std::string_view t) { return parse_rename(t); }, [](const RenameArgs& a) { return a.from + ">" + a.to; });
}

std::string list_text(const ListArgs& a) {
  std::string out = a.extended ? "extended" : "plain";
  if (a.select_subscribed) out += " subscribed";
  if (a.select_remote) out += " remote";
  if (a.select_recursive_match) out += " recursive";
  if (a.select_special_use) out += " special";
  out += " '" + a.reference + "'";
  for (const auto& p : a.patterns) out += " '" + p + "'";
  if (a.return_subscribed) out += " return-subscribed";
  if (a.return_children) out += " return-children";
  if (a.return_special_use) out += " return-special";
  if (a.return_status) out += " status " + std::to_string(*a.return_status);
  return out;
}

TEST(List, Arguments) {
  // RFC 5258 §5, RFC 5819 §3, RFC 6154 §5
  check(
      {{" \"\" \"\"", "plain '' ''"},
       {" /usr/staff/jones \"\"", "plain '/usr/staff/jones' ''"},
       {" ~/Mail/ %", "plain '~/Mail/' '%'"},
       {" \"\" *%*", "plain '' '*'"},
       {" (SUBSCRIBED) \"\" \"*\"", "extended subscribed '' '*' return-subscribed"},
       {" () \"\" \"%\" RETURN (CHILDREN)", "extended '' '%' return-children"},
       {" (REMOTE) \"\" \"%\" RETURN (CHILDREN)", "extended remote '' '%' return-children"},
       {" (REMOTE SUBSCRIBED) \"\" \"*\"", "extended subscribed remote '' '*' return-subscribed"},
       {" \"\" \"*\" RETURN (SUBSCRIBED)", "extended '' '*' return-subscribed"},
       {" \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")", "extended '' 'INBOX' 'Drafts' 'Sent/%'"},
       {" (SUBSCRIBED RECURSIVEMATCH) \"\" \"*\"", "extended subscribed recursive '' '*' return-subscribed"},
       {" \"\" % RETURN (STATUS (MESSAGES UNSEEN))", "extended '' '%' status 17"},
       {" \"\" % RETURN (SPECIAL-USE SUBSCRIBED)", "extended '' '%' return-subscribed return-special"},
       {" (SPECIAL-USE) \"\" \"*\"", "extended special '' '*' return-special"},
       {" \"\" * RETURN ()", "extended '' '*'"},
       {" \"\" Entw&APw-*", "plain '' 'Entwü*'"},
       {" \"\" {3}\r\n*/%", "plain '' '*/%'"},
       {" \"\" a&*", "plain ''"},  // no modified UTF-7: no name can match
       {" \"\" (a a&* b)", "extended '' 'a' 'b'"},
       {" a& *", "plain ''"},
       {" (RECURSIVEMATCH) \"\" \"*\"", "syntax: expected an option that RECURSIVEMATCH can work with"},
       {" (REMOTE RECURSIVEMATCH) \"\" \"*\"", "syntax: expected an option that RECURSIVEMATCH can work with"},
       {" (FOO) \"\" \"*\"", "syntax: expected SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE"},
       {" \"\" * RETURN (FOO)", "syntax: expected SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS"},
       {" \"\" * FOO", "syntax: expected RETURN"},
       {" \"\" ()", "syntax: expected mailbox name or pattern"},
       {" \"\"", "syntax: expected SP"}},
      [](std::string_view t) { return parse_list(t); }, list_text);
  check(
      {{" \"#news.\" \"comp.mail.*\"", "#news.|comp.mail.*"}, {" a (b)", "syntax: expected mailbox name or pattern"}},
      [](std::string_view t) { return parse_lsub(t); }, [](const LsubArgs& a) { return a.reference + "|" + a.pattern.value_or("none"); });
  std::string many = " \"\" (";
  for (std::size_t i = 0; i <= kMaxListPatterns; ++i) many += "a ";
  many.back() = ')';
  EXPECT_EQ(testing::outcome(parse_list(many)), "refused [LIMIT]: Too many patterns");
  EXPECT_EQ(testing::outcome(parse_list(" \"\" " + std::string(2000, 'a'))), "refused [LIMIT]: Pattern is too long");
}

TEST(Status, Arguments) {
  check(
      {{" blurdybloop (UIDNEXT MESSAGES)", "blurdybloop 5"},
       {" a (RECENT UIDVALIDITY UNSEEN DELETED SIZE highestmodseq MAILBOXID APPENDLIMIT DELETED-STORAGE)", "a 2042"},
       {" a (MESSAGES MESSAGES)", "a 1"},
       {" a ()", "syntax: expected status item"},
       {" a MESSAGES", "syntax: expected status items"},
       {" a (FOO)", "syntax: expected status item"}},
      [](std::string_view t) { return parse_status(t); }, [](const StatusArgs& a) { return a.mailbox + " " + std::to_string(a.items); });
}

std::string message_text(const AppendMessage& m) {
  return flags_text(m.flags) + (m.date ? " " + std::to_string(m.date->seconds) : "") + (m.binary ? " binary" : "") +
         (m.utf8 ? " utf8" : "");
}

TEST(Append, FirstPart) {
  check(
      {{" saved-messages (\\Seen) {310}", "saved-messages 1"},  // RFC 9051 §6.3.12
       {" a {3+}", "a 0"},
       {" a ~{3}", "a 0 binary"},
       {" a (k $x) \" 7-Feb-1994 21:52:25 -0800\" {3}", "a 0,k,$x 760686745"},
       {" a \" 7-Feb-1994 21:52:25 -0800\" ~{3+}", "a 0 760686745 binary"},
       {" {5}\r\ninbox {3}", "INBOX 0"},
       {" a (\\Seen) UTF8 (~{42}", "a 1 binary utf8"},  // RFC 6855 §4
       {" a UTF8 ({42}", "syntax: expected literal8"},
       {" a", "syntax: expected SP"},
       {" a (\\Recent) {3}", "syntax: expected flag that a client may set"},
       {" a \"x\"", "syntax: expected day of two characters"},
       {" a {3}\r\nabc", "syntax: expected end of command"},
       {" a CATENATE {3}", "syntax: expected the message as a literal"}},
      [](std::string_view t) { return parse_append(t); }, [](const AppendStart& a) { return a.mailbox + " " + message_text(a.message); });
}

TEST(Append, LaterParts) {
  const auto show = [](const std::optional<AppendMessage>& m) { return m ? message_text(*m) : "end"; };
  check(
      {{"", "end"},
       {" (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {295}", "1 760689784"},  // RFC 3502 §6.3.11
       {" {3}", "0"},
       {")", "syntax: expected SP"},
       {" ", "syntax: expected the message as a literal"},
       {"x", "syntax: expected SP"}},
      [](std::string_view t) { return parse_append_next(t, false); }, show);
  check(
      {{")", "end"}, {") UTF8 (~{3}", "0 binary utf8"}, {"", "syntax: expected \")\" behind the message"}, {"))", "syntax: expected SP"}},
      [](std::string_view t) { return parse_append_next(t, true); }, show);
}

TEST(Store, Arguments) {
  const auto show = [](const StoreArgs& a) {
    auto out = a.messages.resolve(99).to_string() + (a.mode == StoreArgs::Mode::add      ? " +"
                                                     : a.mode == StoreArgs::Mode::remove ? " -"
                                                                                         : " =");
    if (a.silent) out += " silent";
    if (a.unchanged_since) out += " since " + std::to_string(*a.unchanged_since);
    return out + " " + flags_text(a.flags);
  };
  check(
      {{" 2:4 +FLAGS (\\Deleted)", "2:4 + 8"},
       {" 1 flags.silent \\Seen $a", "1 = silent 1,$a"},
       {" 1 -FLAGS.SILENT ()", "1 - silent 0"},
       {" 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)", "5,7,9 + silent since 320162338 8"},  // RFC 7162 §3.1.3
       {" 12 (UNCHANGEDSINCE 0) FLAGS \\Seen", "12 = since 0 1"},
       {" 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS \\Seen", "syntax: expected \")\" behind the store modifiers"},
       {" 1 (FOO 1) FLAGS \\Seen", "syntax: expected UNCHANGEDSINCE"},
       {" 1 FLAGS", "syntax: expected SP"},
       {" 1 FLAGS ", "syntax: expected flag"},
       {" 1 FLAG x", "syntax: expected FLAGS or FLAGS.SILENT"},
       {" 1 +FLAGS \\Recent", "syntax: expected flag that a client may set"},
       {" 1 +FLAGS \\Foo", "refused [CANNOT]: No such system flag"}},
      [](std::string_view t) { return parse_store(t); }, show);
}

TEST(Copy, Arguments) {
  check(
      {{" 2:4 MEETING", "2:4 MEETING"}, {" 0 a", "syntax: expected nz-number"}, {" 1", "syntax: expected SP"}},
      [](std::string_view t) { return parse_copy(t); },
      [](const CopyArgs& a) { return a.messages.resolve(9).to_string() + " " + a.mailbox; });
}

TEST(UidExpunge, Arguments) {
  check(
      {{" 3000:3002", "3000:3002"}, {"", "syntax: expected SP"}}, [](std::string_view t) { return parse_uid_expunge(t); },
      [](const UidExpungeArgs& a) { return a.uids.resolve(9).to_string(); });
}

TEST(Id, Arguments) {
  const auto show = [](const IdFields& fields) {
    std::string out;
    for (const auto& [name, value] : fields) out += name + "=" + value.value_or("NIL") + ";";
    return out;
  };
  check(
      {{" (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" NIL)", "name=sodr;version=19.34;vendor=NIL;"},  // RFC 2971 §3.1
       {" NIL", ""},
       {" nil", ""},
       {" ()", ""},
       {" (\"a\")", "syntax: expected SP"},
       {" (a b)", "syntax: expected string"},
       {"", "syntax: expected SP"},
       {" (\"" + std::string(31, 'n') + "\" NIL)", "syntax: expected shorter field"}},
      [](std::string_view t) { return parse_id(t); }, show);
}

TEST(Enable, Arguments) {
  const auto show = [](const EnableArgs& a) {
    std::string out;
    for (const auto& c : a.capabilities) out += c + ";";
    return out;
  };
  check(
      {{" CONDSTORE X-Good-Idea", "CONDSTORE;X-GOOD-IDEA;"},  // RFC 5161 §3.1
       {" utf8=accept", "UTF8=ACCEPT;"},
       {"", "syntax: expected SP"},
       {" a ", "syntax: expected atom"}},
      [](std::string_view t) { return parse_enable(t); }, show);
}

TEST(GetQuota, Arguments) {
  check(
      {{" \"\"", "''"}, {" !partition/sda4", "'!partition/sda4'"}, {"", "syntax: expected SP"}},
      [](std::string_view t) { return parse_get_quota(t); }, [](const GetQuotaArgs& a) { return "'" + a.root + "'"; });
}

}  // namespace
}  // namespace relais::imap
