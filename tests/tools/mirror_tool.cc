// Mirrors an account on an IMAP server into a storage of its own, for the tests (tests/e2e/test_mirror.py) and for measuring.
//
//   mirror_tool ADDRESS PORT plain|proxied USER MASTER STORE COMMAND…      (password on standard input)
//
// STORE is a folder: the storage, and the cursors of the passes so far. COMMANDs, any number, on the same connections:
//   sources N                with so many connections, from here on
//   anew NAME                the next pass empties this mailbox and copies it again
//   pass                     prints "finding CODE MAILBOX|UID|TEXT" each, then "pass MAILBOXES APPENDED OCTETS FLAGS EXPUNGED POSTPONED MS"
//   verify counters|messages|digests   prints "differs CODE MAILBOX|UID|TEXT|SOURCE|TARGET" each, then "verified MS"
//   list                     prints "mailbox NAME|UIDVALIDITY UIDNEXT MESSAGES USES" each, and "subscription NAME"
//   messages NAME DIRECTORY  writes DIRECTORY/UID each; prints "message UID SIZE DATE ZONE FLAGS"
// FLAGS are sorted. An error ends it: "error FAULT CODE TEXT (DETAIL)", exit 1; what a pass has done until then is kept.
#include "base/ascii.h"
#include "imap/proto/values.h"
#include "migrate/imap_source.h"
#include "migrate/mirror.h"
#include "migrate/store_target.h"
#include "migrate/verify.h"
#include "net/test_support.h"
#include "storage/model/open_store.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace relais;
using namespace relais::migrate;

namespace {

using Arguments = std::span<const std::string>;
using Time = std::chrono::steady_clock;

constexpr storage::AccountRef kAccount{storage::AccountId{1}, 0};

void print(const std::string& line) { std::cout << line << "\n" << std::flush; }
std::string milliseconds_since(Time::time_point began) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(Time::now() - began).count());
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

/// One line for each that moves; the last one counts.
class CursorFile {
 public:
  explicit CursorFile(std::filesystem::path path) : path_(std::move(path)) {
    std::ifstream in(path_);
    std::string wire;
    Cursor cursor;
    while (std::getline(in, wire) && in >> cursor.uid_validity >> cursor.uid_next >> cursor.highest_mod_seq >> cursor.messages) {
      in.ignore(1);
      cursors.insert_or_assign(wire, cursor);
    }
  }
  void add(const std::string& wire, const Cursor& cursor) {
    std::ofstream(path_, std::ios::app) << wire << "\n"
                                        << cursor.uid_validity << " " << cursor.uid_next << " " << cursor.highest_mod_seq << " "
                                        << cursor.messages << "\n";
  }
  Cursors cursors;

 private:
  std::filesystem::path path_;
};

class Tool {
 public:
  Tool(net::Loop& loop, imap::ClientOptions options, storage::ShardedStore& store, const std::filesystem::path& folder)
      : loop_(loop), options_(std::move(options)), store_(store), file_(folder / "cursors") {}

  net::Task<void> run(Arguments commands);

 private:
  net::Task<void> open(std::size_t count);
  net::Task<void> pass();
  net::Task<void> verify(std::string depth);
  net::Task<void> list();
  net::Task<void> messages(std::string name, std::filesystem::path folder);

  net::Loop& loop_;
  const imap::ClientOptions options_;
  storage::ShardedStore& store_;
  CursorFile file_;
  std::unique_ptr<Target> target_ = make_store_target(store_, store_.importer(), kAccount);
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<Finding> findings_;
  std::vector<std::string> anew_;
};

net::Task<void> Tool::open(std::size_t count) {
  while (sources_.size() < count) {
    RELAIS_CO_TRY(auto source, co_await open_imap_source(loop_, options_));
    sources_.push_back(std::move(source));
  }
  co_return Result<void>{};
}

net::Task<void> Tool::pass() {
  const auto began = Time::now();
  std::uint64_t postponed = 0;
  MirrorEvents events;
  events.in_step = [this](const SourceMailbox& mailbox, const TargetMailbox&, Cursor cursor) -> net::Task<void> {
    file_.add(mailbox.wire, cursor);
    co_return Result<void>{};
  };
  events.gone = [this](std::string wire) -> net::Task<void> {
    file_.add(wire, {});
    co_return Result<void>{};
  };
  events.postponed = [&](const SourceMailbox&, const Error&) { ++postponed; };
  events.finding = [&](Finding finding) {
    print("finding " + finding.code + " " + finding.mailbox + "|" + std::to_string(finding.uid) + "|" + finding.text);
    findings_.push_back(std::move(finding));
  };
  findings_.clear();
  std::vector<Source*> sources;
  for (const auto& source : sources_) sources.push_back(source.get());
  MirrorRules rules;
  rules.anew = std::exchange(anew_, {});
  RELAIS_CO_TRY(const auto done, co_await mirror_pass(sources, *target_, file_.cursors, rules, events));
  print("pass " + std::to_string(done.mailboxes) + " " + std::to_string(done.appended) + " " + std::to_string(done.octets) + " " +
        std::to_string(done.flags) + " " + std::to_string(done.expunged) + " " + std::to_string(postponed) + " " +
        milliseconds_since(began));
  co_return Result<void>{};
}

net::Task<void> Tool::verify(std::string depth) {
  const auto began = Time::now();
  VerifyRules rules;
  rules.depth = depth == "counters" ? VerifyDepth::counters : depth == "messages" ? VerifyDepth::messages : VerifyDepth::digests;
  rules.known = findings_;
  RELAIS_CO_TRY(const auto found, co_await migrate::verify(*sources_.front(), *target_, std::move(rules)));
  for (const auto& one : found) {
    print("differs " + one.code + " " + one.mailbox + "|" + std::to_string(one.uid) + "|" + one.text + "|" + one.source_value + "|" +
          one.target_value);
  }
  print("verified " + milliseconds_since(began));
  co_return Result<void>{};
}

net::Task<void> Tool::list() {
  RELAIS_CO_TRY(const auto listing, co_await target_->list());
  for (const auto& mailbox : listing.mailboxes) {
    if (!mailbox.selectable) continue;
    print("mailbox " + mailbox.name + "|" + std::to_string(mailbox.uid_validity) + " " + std::to_string(mailbox.uid_next) + " " +
          std::to_string(mailbox.messages) + " " + std::to_string(mailbox.special_use));
  }
  for (const auto& name : listing.subscriptions) print("subscription " + name);
  co_return Result<void>{};
}

net::Task<void> Tool::messages(std::string name, std::filesystem::path folder) {
  RELAIS_CO_TRY(const auto listing, co_await target_->list());
  const auto mailbox = std::ranges::find(listing.mailboxes, name, &TargetMailbox::name);
  if (mailbox == listing.mailboxes.end()) co_return fail(Fault::refused, "not there", "NONEXISTENT", name);
  const auto id = storage::MailboxId{static_cast<std::uint32_t>(mailbox->id)};
  RELAIS_CO_TRY(const auto found, co_await target_->everything(*mailbox));
  storage::FetchBatch batch;
  for (const auto& message : found) {
    print("message " + std::to_string(message.uid) + " " + std::to_string(message.size.value_or(0)) + " " +
          std::to_string(message.internal_date.value_or(0)) + " " + std::to_string(message.internal_zone) + " " + flags_of(message));
    const NumberSet one{{message.uid, message.uid}};
    RELAIS_CO_TRY_VOID(co_await store_.importer().fetch(
        kAccount, id, {.uids = &one, .fields = storage::kFetchContent, .max_octets = UINT32_MAX, .content_limit = UINT32_MAX}, batch));
    std::ofstream(folder / std::to_string(message.uid), std::ios::binary) << batch.messages.at(0).content;
  }
  co_return Result<void>{};
}

net::Task<void> Tool::run(Arguments commands) {
  auto& import = store_.importer();
  RELAIS_CO_TRY(const auto state, co_await import.state(kAccount));
  RELAIS_CO_TRY_VOID(co_await import.set_state(kAccount, state, storage::AccountState::importing));
  RELAIS_CO_TRY_VOID(co_await open(1));
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto& command = commands[i];
    const auto argument = [&] { return ++i < commands.size() ? commands[i] : std::string(); };
    Result<void> done{};
    if (command == "sources") {
      done = co_await open(std::stoul(argument()));
    } else if (command == "anew") {
      anew_.push_back(argument());
    } else if (command == "pass") {
      done = co_await pass();
    } else if (command == "verify") {
      done = co_await verify(argument());
    } else if (command == "list") {
      done = co_await list();
    } else if (command == "messages") {
      auto name = argument();
      done = co_await messages(std::move(name), argument());
    } else {
      done = fail(Fault::syntax, "no such command: " + command);
    }
    if (!done) co_return done;
  }
  for (const auto& source : sources_) co_await source->close();
  co_return Result<void>{};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 6) return 2;
  imap::ClientOptions options;
  options.service.host = arguments[0];
  options.service.port = static_cast<std::uint16_t>(std::stoul(arguments[1]));
  options.plaintext_allowed = true;
  options.login.way = arguments[2] == "proxied" ? imap::ClientLogin::Way::proxied : imap::ClientLogin::Way::plain;
  options.login.user = arguments[3];
  options.login.authenticate_as = arguments[4];
  std::getline(std::cin, options.login.password);
  const std::filesystem::path folder = arguments[5];

  net::LoopPool loops(1);
  net::WorkerPool pool(2, 1'000);
  storage::StoreOptions store_options;
  store_options.path = folder;
  store_options.pool = &pool;
  auto store = storage::open_store(std::move(store_options));
  if (!store) {
    print("error " + std::string(to_string(store.error().fault)) + " " + store.error().text + " (" + store.error().detail + ")");
    return 1;
  }
  loops.start();
  Tool tool(loops.at(0), std::move(options), **store, folder);
  const auto done = net::run_on(loops.at(0), tool.run(Arguments(arguments).subspan(6)));
  (*store)->close();
  if (done) return 0;
  const auto& error = done.error();
  print("error " + std::string(to_string(error.fault)) + " " + error.code + " " + error.text + " (" + error.detail + ")");
  return 1;
}
