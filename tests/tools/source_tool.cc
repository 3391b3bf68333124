// Reads an account over IMAP as the mover does, for the tests (tests/e2e/test_imap_source.py).
//
//   source_tool ADDRESS PORT plain|proxied USER MASTER COMMAND…      (password on standard input)
//
// COMMANDs, any number, each on one connection:
//   traits                        prints "traits DESCRIPTION"
//   list                          prints "mailbox NAME|WIRE|CURSOR|WORDS" each (WORDS: unselectable, subscribed, use=BITS, problem=…),
//                                 "subscription NAME" and "left WIRE"
//   changes NAME CURSOR KNOWN     prints "state CURSOR WORDS" (restarted, all=UIDS, vanished=UIDS), then "changed UID FLAGS" each
//   everything NAME               prints "message UID SIZE DATE FLAGS" each
//   messages NAME UIDS DIRECTORY  writes DIRECTORY/UID each; prints "read UID SIZE DATE FLAGS" or "unreadable UID"
//   extras                        prints "quota ROOT RESOURCE LIMIT", "acl MAILBOX NAME VALUE", "metadata MAILBOX NAME VALUE"
// CURSOR is UIDVALIDITY/UIDNEXT/HIGHESTMODSEQ/MESSAGES, FLAGS are sorted, KNOWN and UIDS are sets ("-": none). An error ends it: "error
// FAULT CODE TEXT (DETAIL)", exit 1.
#include "base/ascii.h"
#include "imap/proto/values.h"
#include "migrate/imap_source.h"
#include "net/test_support.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::migrate;

namespace {

using Arguments = std::span<const std::string>;

void print(const std::string& line) { std::cout << line << "\n"; }

NumberSet set_of(const std::string& text) { return text == "-" ? NumberSet{} : NumberSet::parse(text).value(); }
std::string text_of(const NumberSet& set) { return set.empty() ? "-" : set.to_string(); }

std::string text_of(const Cursor& cursor) {
  return std::to_string(cursor.uid_validity) + "/" + std::to_string(cursor.uid_next) + "/" + std::to_string(cursor.highest_mod_seq) + "/" +
         std::to_string(cursor.messages);
}

Cursor cursor_of(const std::string& text) {
  const auto parts = split(text, '/');
  const auto number = [&parts](std::size_t i) { return parse_u64(parts.at(i)).value(); };
  return {static_cast<std::uint32_t>(number(0)), static_cast<Uid>(number(1)), number(2), static_cast<std::uint32_t>(number(3))};
}

std::string flags_of(const SourceMessage& message) {
  auto names = message.keywords;
  for (auto bits = static_cast<unsigned>(message.system_flags); bits != 0; bits &= bits - 1) {
    names.emplace_back(imap::name_of(static_cast<imap::SystemFlag>(1U << std::countr_zero(bits))));
  }
  std::ranges::sort(names);
  std::string out;
  for (const auto& name : names) out.append(out.empty() ? "" : " ").append(name);
  return out;
}

std::string line_of(const SourceMessage& message) {
  return std::to_string(message.uid) + " " + std::to_string(message.size.value_or(0)) + " " +
         std::to_string(message.internal_date.value_or(0)) + " " + flags_of(message);
}

class Files final : public MessageReceiver {
 public:
  explicit Files(std::filesystem::path directory) : directory_(std::move(directory)) {}
  net::Task<void> take(Message message) override {
    std::ofstream(directory_ / std::to_string(message.about.uid), std::ios::binary) << message.octets;
    print("read " + line_of(message.about));
    co_return Result<void>{};
  }
  net::Task<void> unreadable(Uid uid, Error) override {
    print("unreadable " + std::to_string(uid));
    co_return Result<void>{};
  }

 private:
  std::filesystem::path directory_;
};

net::Task<SourceMailbox> mailbox_named(Source& source, std::string name) {
  RELAIS_CO_TRY(auto listing, co_await source.list());
  const auto found = std::ranges::find(listing.mailboxes, name, &SourceMailbox::name);
  if (found == listing.mailboxes.end()) co_return fail(Fault::refused, "not listed", "NONEXISTENT", name);
  co_return std::move(*found);
}

net::Task<void> list(Source& source) {
  RELAIS_CO_TRY(const auto listing, co_await source.list());
  for (const auto& mailbox : listing.mailboxes) {
    std::string line = "mailbox " + mailbox.name + "|" + mailbox.wire + "|" + text_of(mailbox.state) + "|";
    if (!mailbox.selectable) line += " unselectable";
    if (mailbox.subscribed) line += " subscribed";
    if (mailbox.special_use != 0) line += " use=" + std::to_string(mailbox.special_use);
    if (!mailbox.problem.empty()) line += " problem=" + mailbox.problem;
    print(line);
  }
  for (const auto& name : listing.subscriptions) print("subscription " + name);
  for (const auto& left : listing.left) print("left " + left.wire);
  co_return Result<void>{};
}

net::Task<void> changes(Source& source, Arguments arguments) {
  RELAIS_CO_TRY(const auto mailbox, co_await mailbox_named(source, arguments[0]));
  const auto known = set_of(arguments[2]);
  RELAIS_CO_TRY(const auto found, co_await source.changes(mailbox, cursor_of(arguments[1]), known));
  std::string line = "state " + text_of(found.state);
  if (found.restarted) line += " restarted";
  if (found.all) line += " all=" + text_of(*found.all);
  if (!found.vanished.empty()) line += " vanished=" + text_of(found.vanished);
  print(line);
  for (const auto& message : found.changed) print("changed " + std::to_string(message.uid) + " " + flags_of(message));
  co_return Result<void>{};
}

net::Task<void> everything(Source& source, Arguments arguments) {
  RELAIS_CO_TRY(const auto mailbox, co_await mailbox_named(source, arguments[0]));
  RELAIS_CO_TRY(const auto found, co_await source.everything(mailbox));
  for (const auto& message : found) print("message " + line_of(message));
  co_return Result<void>{};
}

net::Task<void> messages(Source& source, Arguments arguments) {
  RELAIS_CO_TRY(const auto mailbox, co_await mailbox_named(source, arguments[0]));
  Files files(arguments[2]);
  RELAIS_CO_TRY_VOID(co_await source.messages(mailbox, set_of(arguments[1]), files));
  co_return Result<void>{};
}

net::Task<void> extras(Source& source) {
  RELAIS_CO_TRY(const auto listing, co_await source.list());
  RELAIS_CO_TRY(const auto found, co_await source.extras(listing));
  for (const auto& one : found.quota) print("quota " + one.root + " " + one.resource + " " + std::to_string(one.limit));
  for (const auto& one : found.acl) print("acl " + one.mailbox + " " + one.name + " " + one.value);
  for (const auto& one : found.metadata) print("metadata " + one.mailbox + " " + one.name + " " + one.value);
  co_return Result<void>{};
}

std::size_t arguments_of(const std::string& command) {
  if (command == "changes" || command == "messages") return 3;
  return command == "everything" ? 1 : 0;
}

net::Task<void> perform(Source& source, std::string command, Arguments arguments) {
  if (command == "traits") {
    print("traits " + source.traits().described);
    co_return Result<void>{};
  }
  if (command == "list") co_return co_await list(source);
  if (command == "changes") co_return co_await changes(source, arguments);
  if (command == "everything") co_return co_await everything(source, arguments);
  if (command == "messages") co_return co_await messages(source, arguments);
  if (command == "extras") co_return co_await extras(source);
  co_return fail(Fault::syntax, "no such command: " + command);
}

net::Task<void> run(net::Loop& loop, imap::ClientOptions options, Arguments commands) {
  RELAIS_CO_TRY(const auto source, co_await open_imap_source(loop, std::move(options)));
  while (!commands.empty()) {
    const auto count = arguments_of(commands.front());
    if (commands.size() <= count) co_return fail(Fault::syntax, "arguments are missing");
    RELAIS_CO_TRY_VOID(co_await perform(*source, commands.front(), commands.subspan(1, count)));
    commands = commands.subspan(1 + count);
  }
  co_await source->close();
  co_return Result<void>{};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 5) return 2;
  imap::ClientOptions options;
  options.service.host = arguments[0];
  options.service.port = static_cast<std::uint16_t>(std::stoul(arguments[1]));
  options.plaintext_allowed = true;
  options.login.way = arguments[2] == "proxied" ? imap::ClientLogin::Way::proxied : imap::ClientLogin::Way::plain;
  options.login.user = arguments[3];
  options.login.authenticate_as = arguments[4];
  std::getline(std::cin, options.login.password);

  net::LoopPool loops(1);
  loops.start();
  const auto done = net::run_on(loops.at(0), run(loops.at(0), std::move(options), Arguments(arguments).subspan(5)));
  if (done) return 0;
  const auto& error = done.error();
  print("error " + std::string(to_string(error.fault)) + " " + error.code + " " + error.text + " (" + error.detail + ")");
  return 1;
}
