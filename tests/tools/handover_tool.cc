// A frontend with one account that still lives on a real server, and who moves it, for the tests (tests/e2e/test_handover.py). The
// account's new home is a store in memory, into which INBOX is written with the server's UIDs and UIDVALIDITY.
//
//   handover_tool ADDRESS PORT USER      (its password is the first line of standard input)
//
// Prints "listening PORT", then does what the lines of standard input say, each answered by "done", or "error FAULT CODE TEXT (DETAIL)":
//   copy      makes the INBOX of the new home what the server's is now
//   freeze    the account is moving; all sessions are at rest
//   release   … stays where it is
//   switch    … lives in its new home
//   deliver   a message comes to the new home's INBOX
#include "directory/test_support.h"
#include "imap/client/client.h"
#include "imap/relay/platform_capabilities.h"
#include "imap/server/testing.h"
#include "net/fake_resolver.h"
#include "net/test_support.h"
#include "storage/model/testing.h"

#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::imap;
using directory::Placement;

namespace {

void print(const std::string& line) { std::cout << line << std::endl; }

struct Copied {
  std::string octets;
  storage::FlagBits system_flags = 0;
  std::vector<std::string> keywords{};
};

class Messages final : public FetchReceiver {
 public:
  Result<void> begin(const FetchResult&) override {
    large_.clear();
    return {};
  }
  net::Task<void> octets(std::string_view piece) override {
    large_ += piece;
    co_return Result<void>{};
  }
  net::Task<void> end(FetchResult result) override {
    if (!result.uid || !result.flags || result.sections.empty() || !result.sections.front().octets) co_return Result<void>{};
    const auto& octets = *result.sections.front().octets;
    Copied copied{.octets = octets.literal ? large_ : octets.inlined};
    for (const auto& flag : *result.flags) {
      const auto system = system_flag(flag);
      if (system)
        copied.system_flags |= *system;
      else if (!flag.starts_with('\\'))
        copied.keywords.push_back(flag);
    }
    all.insert_or_assign(*result.uid, std::move(copied));
    co_return Result<void>{};
  }
  std::map<storage::Uid, Copied> all;

 private:
  std::string large_;
};

class Frontend {
 public:
  Frontend(std::string host, std::uint16_t port, std::string user, std::string password)
      : user_(std::move(user)), password_(std::move(password)) {
    directory::LegacyPlatform old;
    old.name = "old";
    old.imap = {.host = std::move(host), .port = port};
    service_ = old.imap;
    auto ready = directory_.run(directory_->add_domain(user_.substr(user_.find('@') + 1)));
    if (ready) ready = directory_.run(directory_->set_platform(old));
    if (!ready || !directory_.run(directory_->add_legacy_account({.address = user_, .origin = {.platform = "old"}})))
      throw std::runtime_error("no account");
    home_ = {storage::AccountId{account().number}, 0};
    capabilities_.set_platforms({"old"});
    auto services = world_.services();
    services.directory = &*directory_;
    services.relay = {&*directory_, &hosts_, &gate_, &capabilities_};
    server_.emplace(session_starter(std::make_shared<Server>(services, testing::World::plaintext())), net::ListenerOptions{}, 2U);
  }
  ~Frontend() {
    server_->listener->stop();
    server_->loops.shutdown(std::chrono::seconds(5));
  }
  Frontend(const Frontend&) = delete;
  Frontend& operator=(const Frontend&) = delete;

  std::uint16_t port() const { return server_->port(); }

  Result<void> perform(const std::string& command) {
    if (command == "copy") return directory_.run(copy());
    if (command == "freeze") return freeze();
    if (command == "release") return settle(Placement::Kind::legacy);
    if (command == "switch") return settle(Placement::Kind::shard);
    if (command == "deliver") return directory_.run(append(std::nullopt, {.octets = testing::World::sample(++delivered_)}));
    return fail(Fault::syntax, "no such command");
  }

 private:
  directory::Account account() { return directory_.run(directory_->find(user_)).value().value(); }

  Result<directory::Account> place(Placement::Kind kind) {
    auto now = account();
    auto next = now.placement;
    next.kind = kind;
    next.legacy = kind == Placement::Kind::shard ? "" : "old";
    RELAIS_TRY(now.placement, directory_.run(directory_->change_placement(now.number, now.placement.epoch, next)));
    return now;
  }
  Result<void> freeze() {
    RELAIS_TRY(const auto moving, place(Placement::Kind::moving));
    return directory_.run(gate_.drain(moving.number, net::in(net::kSoon)));
  }
  Result<void> settle(Placement::Kind kind) {
    RELAIS_TRY(const auto settled, place(kind));
    gate_.settled(settled.number, settled.placement);
    return {};
  }

  net::Task<void> append(std::optional<storage::Uid> uid, Copied copied) {
    storage::AppendMessage message;
    RELAIS_CO_TRY(message.message, co_await world_.store().prepare(copied.octets));
    message.uid = uid;
    message.system_flags = copied.system_flags;
    message.keywords = std::move(copied.keywords);
    std::vector<storage::AppendMessage> messages;
    messages.push_back(std::move(message));
    const auto done = co_await world_.store().append(home_, "INBOX", std::move(messages), false, {});
    if (!done) co_return fail(done.error());
    co_return Result<void>{};
  }

  net::Task<void> copy() {
    ClientOptions options;
    options.service = service_;
    options.plaintext_allowed = true;
    options.login.user = user_;
    options.login.password = password_;
    RELAIS_CO_TRY(const auto client, co_await Client::connect(*net::Loop::current(), std::move(options)));
    RELAIS_CO_TRY(const auto mailbox, co_await client->select({.wire_name = "INBOX"}));
    Messages messages;
    if (mailbox.exists > 0) {
      RELAIS_CO_TRY_VOID(co_await client->fetch(false, "1:*", "(UID FLAGS BODY.PEEK[])", "", messages));
    }
    co_await client->logout();

    auto& store = world_.store();
    static_cast<void>(co_await store.create(home_, "INBOX", 0, mailbox.uid_validity));  // is there at the second time
    RELAIS_CO_TRY(const auto view, co_await store.open(home_, "INBOX", false));
    auto gone = view.uids;
    for (auto& [uid, copied] : messages.all) {
      gone.remove(uid);
      if (!view.uids.contains(uid)) {
        RELAIS_CO_TRY_VOID(co_await append(uid, std::move(copied)));
        continue;
      }
      storage::StoreFlagsRequest flags;
      flags.uids.add(uid);
      flags.operation = storage::FlagOperation::replace;
      flags.system_flags = copied.system_flags;
      flags.keywords = std::move(copied.keywords);
      RELAIS_CO_TRY_VOID(co_await store.store_flags(home_, view.info.id, std::move(flags)));
    }
    if (!gone.empty()) {
      RELAIS_CO_TRY_VOID(co_await store.expunge(home_, view.info.id, gone, true));
    }
    co_return Result<void>{};
  }

  const std::string user_;
  const std::string password_;
  directory::LegacyService service_;
  testing::World world_;
  directory::TestDirectory directory_;
  net::FakeResolver resolver_;
  directory::LegacyHosts hosts_{resolver_};
  directory::PlacementGate gate_{*directory_};
  PlatformCapabilities capabilities_;
  std::optional<net::TestServer> server_;
  storage::AccountRef home_{};
  unsigned delivered_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::string password;
  std::getline(std::cin, password);
  Frontend frontend(argv[1], static_cast<std::uint16_t>(std::stoul(argv[2])), argv[3], password);
  print("listening " + std::to_string(frontend.port()));
  for (std::string command; std::getline(std::cin, command);) {
    const auto done = frontend.perform(command);
    if (done) {
      print("done");
    } else {
      const auto& error = done.error();
      print("error " + std::string(to_string(error.fault)) + " " + error.code + " " + error.text + " (" + error.detail + ")");
    }
  }
  return 0;
}
