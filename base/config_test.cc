// Configuration: values, messages with file and line, and the pages made from the schema.
#include "base/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::config {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

Schema schema() {
  Schema s;
  s.section("imap", "IMAP sessions.",
            {list("listen", {"0.0.0.0:143"}, "Addresses and ports."), size("max_line", "64KB", "1KB", "1MB", "Longest command line."),
             duration("idle_limit", "30m", "1s", "1d", "A client that says nothing for so long is logged out.")});
  s.section("log", "Logs.", {choice("format", "logfmt", {"logfmt", "json"}, "One of two."), boolean("colour", false, "Not in files.")});
  s.section("smtp.queue", "The queue.", {integer("workers", 4, 1, 64, "workers", "How many at once."), text("name", "mail", "A name.")});
  s.repeated("tls.certificate", "A certificate.", {required(text("file", "", "PEM.")), text("key", "", "PEM.")});
  return s;
}

TEST(Config, DefaultsWhereTheFileSaysNothing) {
  const auto values = parse(schema(), "", "relais.toml");
  ASSERT_TRUE(values) << values.error().text;
  EXPECT_EQ(values->size("imap.max_line"), 65536U);
  EXPECT_EQ(values->duration("imap.idle_limit"), 30min);
  EXPECT_EQ(values->text("log.format"), "logfmt");
  EXPECT_FALSE(values->given("log.format"));
  EXPECT_EQ(values->integer("smtp.queue.workers"), 4);
  EXPECT_EQ(values->list("imap.listen"), std::vector<std::string>{"0.0.0.0:143"});
  EXPECT_TRUE(values->tables("tls.certificate").empty());
}

TEST(Config, ValuesOfTheFile) {
  const auto values = parse(schema(),
                            "[imap]\nlisten = [\"127.0.0.1:1143\", \"[::1]:1143\"]\nmax_line = \"1MB\"\nidle_limit = \"90s\"\n"
                            "[log]\nformat = \"json\"\ncolour = true\n[smtp.queue]\nworkers = 7\n"
                            "[[tls.certificate]]\nfile = \"a\"\n[[tls.certificate]]\nfile = \"b\"\nkey = \"c\"\n",
                            "relais.toml");
  ASSERT_TRUE(values) << values.error().text;
  EXPECT_EQ(values->list("imap.listen").size(), 2U);
  EXPECT_EQ(values->size("imap.max_line"), 1048576U);
  EXPECT_EQ(values->duration("imap.idle_limit"), 90s);
  EXPECT_TRUE(values->boolean("log.colour"));
  EXPECT_TRUE(values->given("log.colour"));
  EXPECT_EQ(values->integer("smtp.queue.workers"), 7);
  const auto& certificates = values->tables("tls.certificate");
  ASSERT_EQ(certificates.size(), 2U);
  EXPECT_EQ(certificates[0].text("file"), "a");
  EXPECT_EQ(certificates[0].text("key"), "");
  EXPECT_EQ(certificates[1].text("key"), "c");
}

TEST(Config, MistakesNameFileLineAndWhatIsAllowed) {
  const struct {
    const char* file;
    const char* message;
  } cases[] = {
      {"[imap]\n\nmax_lime = 3\n", "relais.toml:3: unknown key imap.max_lime; known here: idle_limit, listen, max_line"},
      {"[pop]\nx = 1\n", "relais.toml:1: unknown key pop; known here: [imap], [log], [smtp], [tls]"},
      {"[smtp]\nworkers = 1\n", "relais.toml:2: unknown key smtp.workers; known here: [smtp.queue]"},
      {"x = 1\n", "relais.toml:1: unknown key x; known here: "},
      {"[imap]\nmax_line = 4096\n", "relais.toml:2: imap.max_line must be a size such as \"64KB\", from 1KB to 1MB, not 4096"},
      {"[imap]\nmax_line = \"2MB\"\n", "relais.toml:2: imap.max_line must be a size such as \"64KB\", from 1KB to 1MB, not \"2MB\""},
      {"[imap]\nmax_line = \"64\"\n", "not \"64\""},
      {"[imap]\nidle_limit = \"30\"\n", "must be a duration such as \"30s\", from 1s to 1d, not \"30\""},
      {"[imap]\nlisten = \"0.0.0.0\"\n", "imap.listen must be a list of texts such as [\"a\", \"b\"], not \"0.0.0.0\""},
      {"[imap]\nlisten = [143]\n", "not a list with an integer"},
      {"[log]\nformat = \"xml\"\n", "relais.toml:2: log.format must be one of \"logfmt\", \"json\", not \"xml\""},
      {"[log]\ncolour = 1\n", "log.colour must be true or false, not 1"},
      {"[smtp.queue]\nworkers = 65\n", "smtp.queue.workers must be an integer from 1 to 64 (workers), not 65"},
      {"[smtp.queue]\nname = 1979-05-27\n", "must be a text in quotes, not a date"},
      {"imap = 3\n", "relais.toml:1: imap is a section: write [imap]"},
      {"[tls.certificate]\nfile = \"x\"\n", "relais.toml:1: tls.certificate is a repeated section: write [[tls.certificate]]"},
      {"[[tls.certificate]]\nkey = \"x\"\n", "relais.toml:1: tls.certificate.file is missing; it must be a text in quotes"},
      {"[[tls.certificate]]\nfile = \"x\"\ncert = \"y\"\n", "relais.toml:3: unknown key tls.certificate.cert; known here: file, key"},
      {"[imap\n", "relais.toml:1: not TOML: "},
      {"[imap]\nmax_line = \"1KB\"\nmax_line = \"2KB\"\n", "relais.toml:3: not TOML: "},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.file);
    const auto values = parse(schema(), c.file, "relais.toml");
    ASSERT_FALSE(values);
    EXPECT_EQ(values.error().fault, Fault::refused);
    EXPECT_THAT(values.error().text, HasSubstr(c.message));
  }
}

TEST(Config, SizesAndDurations) {
  const struct {
    const char* text;
    std::optional<std::int64_t> size;
  } sizes[] = {{"0B", 0}, {"1B", 1}, {"64KB", 65536}, {"50MB", 52428800}, {"8388607TB", 8388607LL << 40}, {"8388608TB", std::nullopt},
               {"", std::nullopt}, {"KB", std::nullopt}, {"1", std::nullopt}, {"-1B", std::nullopt}, {"1kb", std::nullopt}, {"1 KB", std::nullopt}};
  for (const auto& c : sizes) EXPECT_EQ(parse_size(c.text), c.size) << c.text;
  EXPECT_EQ(parse_duration("250ms"), 250);
  EXPECT_EQ(parse_duration("2h"), 7'200'000);
  EXPECT_EQ(parse_duration("2w"), std::nullopt);
  for (const std::int64_t n : {0LL, 1LL, 1023LL, 1024LL, 1536LL, 1LL << 40}) EXPECT_EQ(parse_size(size_text(n)), n);
  for (const std::int64_t n : {0LL, 1LL, 999LL, 1000LL, 60'000LL, 90'000LL}) EXPECT_EQ(parse_duration(duration_text(n)), n);
}

TEST(Config, RenderedDefaultsAreAFileThatIsAccepted) {
  const auto file = render_defaults(schema());
  const auto values = parse(schema(), file, "defaults");
  ASSERT_TRUE(values) << values.error().text << "\n" << file;
  EXPECT_TRUE(values->given("imap.max_line"));
  EXPECT_EQ(values->size("imap.max_line"), 65536U);
  EXPECT_THAT(file, HasSubstr("# Longest command line.\n# a size such as \"64KB\", from 1KB to 1MB\nmax_line = \"64KB\"\n"));
  EXPECT_THAT(file, HasSubstr("#[[tls.certificate]]\n"));
}

TEST(Config, MarkdownHasARowPerKey) {
  const auto page = render_markdown(schema());
  EXPECT_THAT(page, HasSubstr("## `[imap]`"));
  EXPECT_THAT(page, HasSubstr("| `max_line` | `\"64KB\"` | a size such as \"64KB\", from 1KB to 1MB | Longest command line. |\n"));
  EXPECT_THAT(page, HasSubstr("| `file` | required | a text in quotes | PEM. |\n"));
}

TEST(Config, AFileThatIsNotThere) {
  const auto values = load(schema(), "/nonexistent/relais.toml");
  ASSERT_FALSE(values);
  EXPECT_THAT(values.error().text, HasSubstr("/nonexistent/relais.toml: cannot read the configuration: No such file"));
}

}  // namespace
}  // namespace relais::config
