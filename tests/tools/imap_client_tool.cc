// Drives imap::Client against any server, for the tests (tests/e2e/test_imap_client.py).
//
//   imap_client_tool HOST ADDRESS PORT none|starttls|implicit CA plain|login|proxied USER MASTER COMMAND…      (password on standard input)
//
// CA: the file of an authority; "-" none, then certificates are not verified. COMMANDs, any number, one after the other:
//   capabilities            prints "capabilities A B C"
//   list                    prints "mailbox WIRE|UTF-8|SEPARATOR|ATTRIBUTES" each
//   status NAME             prints "status NAME ITEM=VALUE…"
//   select NAME             prints "selected EXISTS UIDVALIDITY UIDNEXT HIGHESTMODSEQ"
//   since NAME V MODSEQ     ENABLE QRESYNC, then SELECT with it; prints "since VANISHED UID:FLAGS…"
//   fetch DIRECTORY         every message of the mailbox selected as file DIRECTORY/UID; prints "message UID SIZE FLAGS DATE" each
//   append NAME FLAGS FILE  prints "appended UIDVALIDITY UID"
//   store UIDS WHAT         prints "modified UIDS"
//   expunge UIDS            prints "expunged"
//   search CRITERIA         prints "found UIDS"
//   idle                    prints "idling", and "heard" when there was something
// Lines are flushed. An error ends it: "error FAULT CODE TEXT (DETAIL)", exit 1.
#include "imap/client/client.h"
#include "net/test_support.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::imap;

namespace {

constexpr std::size_t kInlined = 1024;  // octets: small, so that most messages are streamed

using Arguments = std::span<const std::string>;

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const auto& word : words) out.append(out.empty() ? "" : between).append(word);
  return out;
}

void print(const std::string& line) { std::cout << line << std::endl; }

/// Writes each message to a file while it comes.
class Files final : public FetchReceiver {
 public:
  explicit Files(std::filesystem::path directory) : directory_(std::move(directory)) {}

  Result<void> begin(const FetchResult&) override {
    part_ = directory_ / "part";
    out_.open(part_, std::ios::binary | std::ios::trunc);
    return {};
  }
  net::Task<void> octets(std::string_view piece) override {
    out_.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    co_return Result<void>{};
  }
  net::Task<void> end(FetchResult result) override {
    if (result.sections.empty() || !result.uid || !result.sections.front().octets) co_return Result<void>{};
    const auto& octets = *result.sections.front().octets;
    const auto file = directory_ / std::to_string(*result.uid);
    if (octets.literal) {
      out_.close();
      std::filesystem::rename(part_, file);
    } else {
      std::ofstream(file, std::ios::binary) << octets.inlined;
    }
    print("message " + std::to_string(*result.uid) + " " + std::to_string(octets.size) + " (" +
          joined(result.flags.value_or(std::vector<std::string>{}), " ") + ") " +
          (result.internal_date ? std::to_string(result.internal_date->seconds) : "-"));
    co_return Result<void>{};
  }

 private:
  std::filesystem::path directory_;
  std::filesystem::path part_;
  std::ofstream out_;
};

net::Task<void> list(Client& client) {
  RELAIS_CO_TRY(const auto listing, co_await client.list("", "*", "", ""));
  for (const auto& mailbox : listing.mailboxes) {
    print("mailbox " + mailbox.name.wire + "|" + mailbox.name.utf8.value_or("?") + "|" + std::string(1, mailbox.separator.value_or('-')) +
          "|" + joined(mailbox.attributes, " "));
  }
  co_return Result<void>{};
}

net::Task<void> status(Client& client, std::string name) {
  RELAIS_CO_TRY(const auto found, co_await client.status(name, "MESSAGES UIDNEXT UIDVALIDITY"));
  std::string line = "status " + found.name.wire;
  for (const auto& [item, value] : found.numbers) line += " " + item + "=" + std::to_string(value);
  print(line);
  co_return Result<void>{};
}

net::Task<void> select(Client& client, std::string name) {
  RELAIS_CO_TRY(const auto found, co_await client.select({.wire_name = name, .examine = false, .condstore = client.has("CONDSTORE")}));
  print("selected " + std::to_string(found.exists) + " " + std::to_string(found.uid_validity) + " " + std::to_string(found.uid_next) + " " +
        std::to_string(found.highest_mod_seq.value_or(0)));
  co_return Result<void>{};
}

net::Task<void> since(Client& client, Arguments arguments) {
  RELAIS_CO_TRY_VOID(co_await client.enable({"QRESYNC"}));
  ClientSelect what{.wire_name = arguments[0]};
  what.qresync = ClientSelect::Qresync{static_cast<std::uint32_t>(std::stoul(arguments[1])), std::stoull(arguments[2]), {}};
  RELAIS_CO_TRY(const auto found, co_await client.select(what));
  std::string line = "since " + found.vanished.to_string();
  for (const auto& one : found.changed)
    line += " " + std::to_string(one.uid.value_or(0)) + ":" + joined(one.flags.value_or(std::vector<std::string>{}), ",");
  print(line);
  co_return Result<void>{};
}

net::Task<void> append(Client& client, Arguments arguments) {
  std::ifstream in(arguments[2], std::ios::binary);
  const std::string octets(std::istreambuf_iterator<char>(in), {});
  std::vector<Client::AppendPiece> messages(1);
  if (!arguments[1].empty()) messages[0].flags = {arguments[1]};
  messages[0].size = octets.size();
  messages[0].binary = octets.contains('\0');
  std::size_t given = 0;
  messages[0].read = [&octets, &given]() -> net::Task<std::string_view> {
    const auto piece = std::string_view(octets).substr(given, 10'000);
    given += piece.size();
    co_return piece;
  };
  RELAIS_CO_TRY(const auto appended, co_await client.append(arguments[0], std::move(messages)));
  print("appended " + std::to_string(appended.uid_validity) + " " + appended.uids.to_string());
  co_return Result<void>{};
}

net::Task<void> idle(Client& client) {
  print("idling");
  RELAIS_CO_TRY_VOID(co_await client.idle(net::in(std::chrono::hours(1))));
  print("heard");
  co_return Result<void>{};
}

std::size_t arguments_of(const std::string& command) {
  if (command == "since" || command == "append") return 3;
  if (command == "store") return 2;
  return command == "capabilities" || command == "list" || command == "idle" ? 0 : 1;
}

net::Task<void> perform(Client& client, std::string command, Arguments arguments) {
  if (command == "capabilities") {
    print("capabilities " + joined(client.capabilities(), " "));
  } else if (command == "list") {
    RELAIS_CO_TRY_VOID(co_await list(client));
  } else if (command == "status") {
    RELAIS_CO_TRY_VOID(co_await status(client, arguments[0]));
  } else if (command == "select") {
    RELAIS_CO_TRY_VOID(co_await select(client, arguments[0]));
  } else if (command == "since") {
    RELAIS_CO_TRY_VOID(co_await since(client, arguments));
  } else if (command == "fetch") {
    Files files(arguments[0]);
    RELAIS_CO_TRY_VOID(co_await client.fetch(true, "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])", "", files));
  } else if (command == "append") {
    RELAIS_CO_TRY_VOID(co_await append(client, arguments));
  } else if (command == "store") {
    RELAIS_CO_TRY(const auto modified, co_await client.uid_store(NumberSet::parse(arguments[0]).value(), arguments[1]));
    print("modified " + modified.to_string());
  } else if (command == "expunge") {
    RELAIS_CO_TRY_VOID(co_await client.uid_expunge(NumberSet::parse(arguments[0]).value()));
    print("expunged");
  } else if (command == "search") {
    RELAIS_CO_TRY(const auto found, co_await client.uid_search(arguments[0]));
    print("found " + found.to_string());
  } else if (command == "idle") {
    RELAIS_CO_TRY_VOID(co_await idle(client));
  } else {
    co_return fail(Fault::syntax, "no such command: " + command);
  }
  co_return Result<void>{};
}

net::Task<void> run(net::Loop& loop, ClientOptions options, Arguments commands) {
  RELAIS_CO_TRY(const auto client, co_await Client::connect(loop, std::move(options)));
  while (!commands.empty()) {
    const auto count = arguments_of(commands.front());
    if (commands.size() <= count) co_return fail(Fault::syntax, "arguments are missing");
    RELAIS_CO_TRY_VOID(co_await perform(*client, commands.front(), commands.subspan(1, count)));
    commands = commands.subspan(1 + count);
  }
  co_await client->logout();
  co_return Result<void>{};
}

template <class T>
T chosen(const std::string& word, std::initializer_list<std::pair<std::string_view, T>> choices) {
  for (const auto& [name, value] : choices) {
    if (name == word) return value;
  }
  std::cerr << "imap_client_tool: " << word << "?\n";
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 8) return 2;
  using Tls = directory::LegacyService::Tls;
  using Way = ClientLogin::Way;
  ClientOptions options;
  options.service.host = arguments[0];
  options.addresses = {arguments[1]};
  options.service.port = static_cast<std::uint16_t>(std::stoul(arguments[2]));
  options.service.tls = chosen<Tls>(arguments[3], {{"none", Tls::none}, {"starttls", Tls::starttls}, {"implicit", Tls::implicit}});
  options.plaintext_allowed = options.service.tls == Tls::none;
  options.service.verify = arguments[4] != "-";
  auto tls = net::TlsContext::client(arguments[4] == "-" ? "" : arguments[4], true);
  if (!tls) {
    print("error " + tls.error().text);
    return 1;
  }
  options.tls = *tls;
  options.login.way = chosen<Way>(arguments[5], {{"plain", Way::plain}, {"login", Way::login}, {"proxied", Way::proxied}});
  options.login.user = arguments[6];
  options.login.authenticate_as = arguments[7];
  std::getline(std::cin, options.login.password);
  options.limits.inlined = kInlined;

  net::LoopPool loops(1);
  loops.start();
  const auto done = net::run_on(loops.at(0), run(loops.at(0), std::move(options), Arguments(arguments).subspan(8)));
  if (done) return 0;
  const auto& error = done.error();
  print("error " + std::string(to_string(error.fault)) + " " + error.code + " " + error.text + " (" + error.detail + ")");
  return 1;
}
