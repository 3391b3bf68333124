// Parses the command line; each leaf command fills a Command or starts the platform.
#include "admin/cli.h"

#include "admin/command.h"
#include "admin/csv.h"
#include "admin/init.h"
#include "admin/moves_command.h"
#include "admin/output.h"
#include "admin/scan_command.h"
#include "admin/serve.h"
#include "admin/settings.h"
#include "base/version.h"

#include <CLI/CLI.hpp>

#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <thread>

namespace relais::admin {
namespace {

using nlohmann::json;

int exit_for(const Error& error) {
  switch (error.fault) {
    case Fault::syntax: return kExitUsage;
    case Fault::refused: return kExitRefused;
    case Fault::temporary:
    case Fault::closed: return kExitUnavailable;
    case Fault::corrupt: return kExitDamaged;
  }
  return kExitRefused;
}

int report(const Error& error, bool as_json) {
  if (as_json) {
    std::cout << json{{"error", error.text}, {"fault", to_string(error.fault)}}.dump() << '\n';
  } else {
    std::cerr << "relais: " << error.text << '\n';
    if (!error.detail.empty()) std::cerr << "        (" << error.detail << ")\n";
  }
  return exit_for(error);
}

/// What the parsed command line asks for.
struct Invocation {
  Command command;
  bool as_json = false;
  bool password_stdin = false;
  std::string password_key = "password";  ///< of the request, that the password goes to
  std::string file;
  std::vector<std::string> targets;
  std::vector<std::string> addresses;
  bool as_csv = false;
  bool wait = false;
  bool watch = false;
  InitOptions init;
  std::function<int(Invocation&)> run;
};

// The first line of standard input, without its line end.
Result<std::string> read_password() {
  std::string password;
  if (!std::getline(std::cin, password)) return fail(Fault::refused, "no password on standard input");
  if (!password.empty() && password.back() == '\r') password.pop_back();
  if (password.empty()) return fail(Fault::refused, "the password on standard input is empty");
  return password;
}

int run_command(Invocation& invocation) {
  auto& command = invocation.command;
  if (invocation.password_stdin) {
    auto password = read_password();
    if (!password) return report(password.error(), invocation.as_json);
    command.request[invocation.password_key] = *password;
  }
  if (!invocation.targets.empty()) command.request["targets"] = invocation.targets;
  const auto result = carry_out(command);
  if (!result) return report(result.error(), invocation.as_json);
  std::cout << (invocation.as_json ? result->dump() + "\n" : to_text(command.operation, *result));
  if (command.operation == "migrate copy" && result->value("stage", "") == "stuck") return kExitRefused;
  if (command.operation == "migrate copy" && result->value("failures", 0) > 0) return kExitUnavailable;
  if (command.operation == "legacy test" && !result->value("good", false)) return kExitRefused;
  return command.operation == "storage check" && !(*result)["problems"].empty() ? kExitDamaged : kExitOk;
}

// Rows go over in pieces, so that a million of them need neither one huge request nor one huge transaction.
int run_import(Invocation& invocation) {
  constexpr std::size_t kRowsPerRequest = 200;
  std::ifstream file;
  if (invocation.file != "-") {
    file.open(invocation.file);
    if (!file) return report(Error{Fault::refused, "", "cannot read " + invocation.file, ""}, invocation.as_json);
  }
  std::istream& in = invocation.file == "-" ? std::cin : file;
  auto rows = read_account_csv(in);
  if (!rows) return report(rows.error(), invocation.as_json);

  json total{{"imported", 0}, {"failed", json::array()}};
  for (std::size_t at = 0; at < rows->size(); at += kRowsPerRequest) {
    auto piece = json::array();
    for (std::size_t i = at; i < std::min(rows->size(), at + kRowsPerRequest); ++i) piece.push_back(std::move((*rows)[i]));
    invocation.command.request["rows"] = std::move(piece);
    const auto result = carry_out(invocation.command);
    if (!result) return report(result.error(), invocation.as_json);
    total["imported"] = total["imported"].get<std::uint64_t>() + (*result)["imported"].get<std::uint64_t>();
    for (const auto& row : (*result)["failed"]) total["failed"].push_back(row);
  }
  std::cout << (invocation.as_json ? total.dump() + "\n" : to_text("account import", total));
  return total["failed"].empty() ? kExitOk : kExitRefused;
}

int run_plan(Invocation& invocation) {
  std::size_t left_out = 0;
  if (!invocation.file.empty()) {
    std::ifstream file(invocation.file);
    if (!file) return report(Error{Fault::refused, "", "cannot read " + invocation.file, ""}, invocation.as_json);
    auto list = read_account_list(file);
    if (!list) return report(list.error(), invocation.as_json);
    left_out = list->left_out;
    invocation.command.request["rows"] = std::move(list->rows);
  }
  auto result = carry_out(invocation.command);
  if (!result) return report(result.error(), invocation.as_json);
  (*result)["left_out"] = left_out;
  std::cout << (invocation.as_json ? result->dump() + "\n" : to_text("migrate plan", *result));
  return kExitOk;
}

int run_start(Invocation& invocation) {
  if (const auto code = run_command(invocation); code != kExitOk || !invocation.wait) return code;
  const auto code = await_move(invocation.command, invocation.command.request.value("what", ""));
  return code ? *code : report(code.error(), invocation.as_json);
}

// Drawn anew each second, until the administrator has seen enough.
int run_status(Invocation& invocation) {
  if (!invocation.watch) return run_command(invocation);
  constexpr std::string_view kHome = "\x1b[H\x1b[2J";
  for (;; std::this_thread::sleep_for(std::chrono::seconds(1))) {
    const auto result = carry_out(invocation.command);
    if (!result && result.error().fault != Fault::temporary && result.error().fault != Fault::closed) return report(result.error(), invocation.as_json);
    if (invocation.as_json)
      std::cout << (result ? result->dump() : json{{"error", result.error().text}}.dump()) << std::endl;
    else
      std::cout << kHome << (result ? to_text("migrate status", *result) : result.error().text + "\n") << std::flush;
  }
}

int run_scan(Invocation& invocation) {
  const bool told = !invocation.as_json && !invocation.as_csv && ::isatty(STDERR_FILENO) == 1;
  const auto result = scan_platform(invocation.command, invocation.addresses, [told](std::size_t done, std::size_t of) {
    if (told) std::cerr << done << " of " << of << " accounts\r" << std::flush;
  });
  if (!result) return report(result.error(), invocation.as_json);
  std::cout << (invocation.as_json ? result->dump() + "\n" : invocation.as_csv ? scan_csv(*result) : scan_text(*result));
  return (*result)["failed"].empty() ? kExitOk : kExitRefused;
}

/// Builds the tree of commands over one Invocation.
class CommandLine {
 public:
  explicit CommandLine(Invocation& invocation) : invocation_(invocation) {
    app_.require_subcommand(0, 1);
    app_.footer(
        "relais help COMMAND tells more of each. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 not available now, 4 data damaged.");
    app_.set_help_flag("-h,--help", "this help");
    add_platform();
    add_domain();
    add_account();
    add_alias();
    add_legacy();
    add_migrate();
    add_storage();
    add_routes();
    add_queue();
    add_trace();
    add_signing();
    add_config();
    add_others();
  }
  CLI::App& app() { return app_; }

 private:
  CLI::App* group(const std::string& name, const std::string& text) {
    auto* app = app_.add_subcommand(name, text);
    app->require_subcommand(1);
    return app;
  }

  // A command that works on a platform's data: --dir, --json, and its operation.
  CLI::App* operation(CLI::App* parent, const std::string& name, const std::string& text) {
    return as_operation(parent->add_subcommand(name, text), parent->get_name() + " " + name);
  }
  CLI::App* as_operation(CLI::App* app, const std::string& operation) {
    app->add_option("--dir", invocation_.command.dir, "the platform's directory")->envname("RELAIS_DIR")->required();
    json_flag(app);
    app->callback([this, operation] {
      invocation_.command.operation = operation;
      if (!invocation_.run) invocation_.run = run_command;
    });
    return app;
  }
  void json_flag(CLI::App* app) { app->add_flag("--json", invocation_.as_json, "print JSON"); }
  void argument(CLI::App* app, const std::string& key, const std::string& shown, const std::string& text) {
    app->add_option_function<std::string>(
           shown, [this, key](const std::string& value) { invocation_.command.request[key] = value; }, text)
        ->required();
  }
  void text_option(CLI::App* app, const std::string& key, const std::string& shown, const std::string& text) {
    app->add_option_function<std::string>(shown, [this, key](const std::string& value) { invocation_.command.request[key] = value; }, text);
  }
  void password(CLI::App* app, bool required) {
    auto* flag = app->add_flag("--password-stdin", invocation_.password_stdin, "read the password from the first line of standard input");
    if (required) flag->required();
  }
  CLI::Option* quota(CLI::App* app, const std::string& shown) {
    return app
        ->add_option_function<std::uint64_t>(
            shown, [this](std::uint64_t octets) { invocation_.command.request["quota_octets"] = octets; },
            "most octets of mail, such as 2GB; 0: no limit")
        ->transform(CLI::AsSizeValue(false));
  }

  void add_platform() {
    auto* init = app_.add_subcommand("init", "make a platform: configuration, self-signed certificate, empty data");
    init->add_option("DIR", invocation_.init.dir, "where; it must be empty or not exist")->required();
    init->add_option("--domain", invocation_.init.domain, "the first mail domain");
    init->add_option("--listen", invocation_.init.listen, "address to listen on (default: 0.0.0.0, with --base-port 127.0.0.1)");
    init->add_option("--base-port", invocation_.init.base_port,
                     "listen on N + the usual port (25 465 587 24 110 995 143 993; admin HTTP 80)")
        ->check(CLI::Range(1, 64'000));
    init->add_option("--shards", invocation_.init.shards, "how many shards the storage has; by default one per processor, 2 to 16")
        ->check(CLI::Range(1, 256));
    json_flag(init);
    init->callback([this] {
      invocation_.run = [](Invocation& invocation) {
        const auto done = make_platform(invocation.init);
        if (!done) return report(done.error(), invocation.as_json);
        std::cout << (invocation.as_json ? done->dump() + "\n" : done->value("text", ""));
        return static_cast<int>(kExitOk);
      };
    });
    auto* serve = app_.add_subcommand("serve", "serve in the foreground; SIGHUP reloads, SIGTERM finishes what is in flight and ends");
    serve->add_option("DIR", invocation_.command.dir, "the platform's directory")->envname("RELAIS_DIR")->required();
    json_flag(serve);
    serve->callback([this] {
      invocation_.run = [](Invocation& invocation) {
        const auto ended = serve_platform(invocation.command.dir);
        return ended ? static_cast<int>(kExitOk) : report(ended.error(), invocation.as_json);
      };
    });
  }

  void add_domain() {
    auto* domain = group("domain", "mail domains: add, list, rm");
    argument(operation(domain, "add", "take mail for a domain"), "domain", "DOMAIN", "such as example.org");
    operation(domain, "list", "the domains");
    argument(operation(domain, "rm", "forget a domain that has no accounts and aliases left"), "domain", "DOMAIN", "");
  }

  void add_account() {
    auto* account = group("account", "accounts: add, list, show, passwd, disable, enable, quota, names, rm, import");
    const auto with_address = [&](const std::string& name, const std::string& text) {
      auto* app = operation(account, name, text);
      argument(app, "address", "ADDRESS", "such as ada@example.org");
      return app;
    };
    auto* add = with_address("add", "make an account; without a password none can log in");
    password(add, false);
    quota(add, "--quota");
    legacy(add);
    text_option(add, "legacy_user", "--legacy-user", "what that platform calls the account (default: as its --user-format)");
    text_option(operation(account, "list", "the accounts"), "domain", "--domain", "only of this domain");
    with_address("show", "an account, its placement and its mailboxes");
    password(with_address("passwd", "set the password; ends what earlier ones allowed at once"), true);
    with_address("disable", "no login, no mail; nothing is removed");
    with_address("enable", "undo disable");
    quota(with_address("quota", "limit what the account may store"), "OCTETS")->required();
    auto* names = with_address("names", "how the account's mail clients know its mailboxes, for sessions that begin from now on");
    text_option(names, "separator", "--separator", "one character that stands between levels (/ is our own), or none");
    text_option(names, "prefix", "--prefix", "what stands in front of all names but INBOX, with the separator at its end: INBOX. (default: nothing)");
    with_address("rm", "remove the account and all of its mail, for good");
    auto* import = operation(account, "import", "make accounts from CSV with a header line: address,password_hash[,quota][,legacy_user]");
    legacy(import);
    import->add_option("FILE", invocation_.file, "CSV file, or - for standard input")->required();
    import->preparse_callback([this](std::size_t) { invocation_.run = run_import; });
  }

  void add_alias() {
    auto* alias = group("alias", "aliases: add, list, rm");
    auto* add = operation(alias, "add", "deliver mail for ADDRESS to the targets; @DOMAIN catches what has no account");
    argument(add, "address", "ADDRESS", "such as info@example.org, or @example.org");
    add->add_option("TARGET", invocation_.targets, "addresses")->required();
    text_option(operation(alias, "list", "the aliases"), "domain", "--domain", "only of this domain");
    argument(operation(alias, "rm", "remove an alias"), "address", "ADDRESS", "");
  }

  void legacy(CLI::App* app) { text_option(app, "legacy", "--legacy", "it still lives on this legacy platform (relais legacy add)"); }

  void add_legacy() {
    auto* legacy = group("legacy", "platforms that accounts are moved away from: add, test, list, rm");
    auto* add = operation(legacy, "add", "tell of a platform, or replace what was told; it takes effect at once");
    argument(add, "name", "NAME", "1 to 64 of a-z 0-9 - _ .");
    text_option(add, "imap", "--imap", "HOST:PORT of its IMAP; behind the port of any service may stand its own TLS mode, as in 192.0.2.1:24,none");
    text_option(add, "pop3", "--pop3", "HOST:PORT of its POP3");
    text_option(add, "smtp", "--smtp", "HOST:PORT that takes mail for accounts that are still there by SMTP …");
    text_option(add, "lmtp", "--lmtp", "… or by LMTP");
    text_option(add, "submission", "--submission", "HOST:PORT of its submission, which is asked for passwords only");
    text_option(add, "tls", "--tls", "none, starttls or implicit (default: implicit at ports 465, 993 and 995, else starttls)");
    add->add_flag_callback("--no-verify", [this] { invocation_.command.request["verify"] = false; }, "take any certificate");
    text_option(add, "ca_file", "--ca-file", "PEM file with the authorities that its certificates are checked against (default: the system's)");
    text_option(add, "user_format", "--user-format", "what it calls an account: %u its address (default), %n the local part, %d the domain");
    text_option(add, "master", "--master", "user that may log in as any account");
    add->add_flag_callback(
        "--master-password-stdin",
        [this] {
          invocation_.password_stdin = true;
          invocation_.password_key = "master_password";
        },
        "read the master's password from the first line of standard input");
    text_option(add, "master_format", "--master-format", "user name of such a login: %u the account, %m the master (default %u*%m)");
    text_option(add, "master_way", "--master-way", "how it logs in: format (default), authzid (SASL PLAIN) or cyrus (as authzid, an admin or proxy server)");
    text_option(add, "forward", "--forward", "how it is told the client's address: none (default), id (ID, XCLIENT) or proxy (PROXY protocol)");
    add->add_flag_callback("--learn-passwords", [this] { invocation_.command.request["learn_passwords"] = true; },
                           "keep hashes of the passwords that it accepts, for when its accounts have moved");
    auto* test = operation(legacy, "test", "dial each of its services as a migration will; exit code 1 where something is missing");
    argument(test, "name", "NAME", "as in legacy list");
    test->add_option_function<std::string>("ACCOUNT", [this](const std::string& value) { invocation_.command.request["address"] = value; },
                                           "whom the master logs in as; default: the first account that lives there");
    operation(legacy, "list", "the platforms");
    argument(operation(legacy, "rm", "forget a platform that no account names any more"), "name", "NAME", "as in legacy list");
  }

  void add_migrate() {
    auto* migrate = group("migrate", "moving accounts here from a legacy platform: scan, copy, plan, start, pause, resume, status, retry, skip");
    auto* scan = operation(migrate, "scan", "what accounts on a platform have, what will be hard to move, how long it will take; changes nothing there");
    argument(scan, "name", "NAME", "as in legacy list");
    scan->add_option("ADDRESS", invocation_.addresses, "only these accounts (default: all that live there)");
    scan->add_option_function<std::uint64_t>(
            "--connections", [this](std::uint64_t n) { invocation_.command.request["connections"] = n; }, "accounts that are read at once (default 4)")
        ->check(CLI::Range(1, 100));
    scan->add_flag("--csv", invocation_.as_csv, "print CSV, a line for each account");
    scan->preparse_callback([this](std::size_t) { invocation_.run = run_scan; });
    add_moves(migrate);
  }

  void add_moves(CLI::App* migrate) {
    const auto what = [&](CLI::App* app, const std::string& shown, const std::string& text) {
      return app->add_option_function<std::string>(shown, [this](const std::string& value) { invocation_.command.request["what"] = value; }, text);
    };
    const auto flag = [&](CLI::App* app, const std::string& shown, const std::string& key, const std::string& text) {
      app->add_flag_callback(shown, [this, key] { invocation_.command.request[key] = true; }, text);
    };
    argument(operation(migrate, "copy", "copy an account's mail to its future shard, UIDs kept, without moving it; again: what has changed since"), "address", "ADDRESS",
             "of an account that lives on a legacy platform");
    auto* plan = operation(migrate, "plan", "share out the accounts of a platform among waves; nothing begins");
    argument(plan, "name", "NAME", "as in legacy list");
    plan->add_option("--csv", invocation_.file, "only accounts of this file: columns address and group; what migrate scan --csv prints, red ones left out");
    plan->add_option_function<std::uint64_t>("--canary", [this](std::uint64_t n) { invocation_.command.request["canary"] = n; }, "accounts of a first, small wave");
    text_option(plan, "waves", "--waves", "shares of all accounts, such as 1%,5%,25%,rest (default: rest)");
    text_option(plan, "window", "--window", "local time in which accounts may be switched, such as 01:00-06:00 (default: always)");
    plan->add_option_function<std::string>("--group-by", [this](const std::string& by) { invocation_.command.request["group_by"] = by; },
                                           "domain: accounts of one domain move in one wave")
        ->check(CLI::IsMember({"domain"}));
    plan->add_option_function<std::uint64_t>("--at-once", [this](std::uint64_t n) { invocation_.command.request["at_once"] = n; },
                                             "accounts of a wave that are worked on at one time (default: as migrate.at_once has it)")
        ->check(CLI::Range(1, 1'000));
    plan->preparse_callback([this](std::size_t) { invocation_.run = run_plan; });
    auto* start = operation(migrate, "start", "copy the accounts of a wave, or one account, keep them in step, and switch them where that is agreed to");
    what(start, "WHAT", "WAVE or ADDRESS")->required();
    flag(start, "--no-way-back", "no_way_back", "switch accounts, although there is no way back yet; without it they are copied and kept in step");
    flag(start, "--allow-unreadable", "allow_unreadable", "leave messages behind that the platform cannot give");
    flag(start, "--without-mailboxes", "without_mailboxes", "switch accounts that have mailboxes which cannot be carried: they are not seen any more");
    flag(start, "--without-uidls", "without_uidls", "switch accounts that use POP3 too: their POP3 clients download everything again");
    start->add_flag("--wait", invocation_.wait, "until it is done (0), paused (3), or done with some accounts stuck (4)");
    start->preparse_callback([this](std::size_t) { invocation_.run = run_start; });
    what(operation(migrate, "pause", "no switch begins, copying ends where it is; freezes are finished"), "WAVE", "default: all that run");
    what(operation(migrate, "resume", "go on with what is paused"), "WAVE", "default: all that are paused");
    auto* status = operation(migrate, "status", "waves, stages, what is in the way; with ADDRESS, all that is known of its move");
    what(status, "WHAT", "WAVE or ADDRESS");
    status->add_flag("--watch", invocation_.watch, "draw it anew each second");
    status->preparse_callback([this](std::size_t) { invocation_.run = run_status; });
    what(operation(migrate, "retry", "what is stuck, or waits after a failure, is tried again now"), "WHAT", "WAVE or ADDRESS")->required();
    argument(operation(migrate, "skip", "an account stays where it is"), "address", "ADDRESS", "as in migrate status");
  }

  void add_storage() {
    auto* storage = group("storage", "mail storage: check, compact, stats");
    operation(storage, "check", "verify every record, checksum and counter; exit code 4 where something is wrong");
    auto* compact = operation(storage, "compact", "give back the space of deleted messages; serving goes on meanwhile");
    compact
        ->add_option_function<double>(
            "--dead-share", [this](double share) { invocation_.command.request["dead_share"] = share; },
            "rewrite segments with more than this share of dead octets (default 0.25)")
        ->check(CLI::Range(0.0, 1.0));
    operation(storage, "stats", "what each shard holds");
  }

  void add_routes() {
    auto* route = group("route", "where mail for a domain is sent, in place of what the DNS says: set, list, rm");
    auto* set = operation(route, "set", "send mail for DOMAIN there, from now on; what waits in the queue follows");
    argument(set, "domain", "DOMAIN", "such as example.org; .example.org: all below it; *: all that has no other route");
    argument(set, "target", "TARGET", "mx, mx:OTHER-DOMAIN, smtp://HOST[:PORT] or lmtp://HOST[:PORT]");
    text_option(set, "auth", "--auth", "USER:PASSWORD to log in with");
    text_option(set, "tls", "--tls", "auto, none, may, encrypt or verify");
    operation(route, "list", "the routes");
    argument(operation(route, "rm", "send mail for DOMAIN where the DNS says again"), "domain", "DOMAIN", "as in route list");
  }

  // Which jobs: the same options for all.
  void filters(CLI::App* app) {
    app->add_option_function<std::string>("ID", [this](const std::string& id) { invocation_.command.request["id"] = id; }, "trace id or queue id");
    text_option(app, "sender", "--sender", "of this reverse-path; <> for none; @DOMAIN for a domain's");
    text_option(app, "recipient", "--recipient", "for this address");
    text_option(app, "domain", "--domain", "for addresses of this domain");
    text_option(app, "destination", "--destination", "for this destination, such as mx:example.org");
    text_option(app, "error", "--error", "whose last reply contains this");
    text_option(app, "older", "--older", "that came longer ago than this: 30m, 2h, 1d");
    text_option(app, "younger", "--younger", "that came within this time");
    app->add_flag_callback("--held", [this] { invocation_.command.request["held"] = true; }, "only what is held");
    app->add_flag_callback("--not-held", [this] { invocation_.command.request["held"] = false; }, "only what is not");
  }
  void limit(CLI::App* app, const std::string& text) {
    app->add_option_function<std::uint64_t>("--limit", [this](std::uint64_t n) { invocation_.command.request["limit"] = n; }, text);
  }

  void add_queue() {
    auto* queue = group("queue", "mail that waits: list, show, why, destinations, retry, hold, release, drop");
    auto* list = operation(queue, "list", "what waits, oldest first");
    filters(list);
    limit(list, "how many (default 100)");
    text_option(list, "after", "--after", "go on where the list before ended");
    argument(operation(queue, "show", "one message with all that is known of it"), "id", "ID", "trace id or queue id");
    argument(operation(queue, "why", "why something is still here, in sentences"), "what", "WHAT", "an address, an id, or a destination");
    limit(operation(queue, "destinations", "where mail goes to, troubled ones first"), "how many (default 100)");
    const auto action = [&](const std::string& name, const std::string& text) {
      auto* app = operation(queue, name, text);
      filters(app);
      app->add_flag_callback("--all", [this] { invocation_.command.request["all"] = true; }, "everything in the queue");
    };
    action("retry", "try at once, whatever the schedule says");
    action("hold", "do not try until released");
    action("release", "try again what was held");
    action("drop", "remove for good; nobody is told");
  }

  void add_trace() {
    auto* trace = as_operation(app_.add_subcommand("trace", "the whole life of messages: received, attempts with replies, where they lie now"), "trace");
    argument(trace, "what", "WHAT", "a trace id, a Message-ID, or an address");
    text_option(trace, "since", "--since", "only messages that something happened to within this time: 2h, 3d");
    limit(trace, "how many messages, the newest ones (default 20)");
    trace->add_option_function<std::uint64_t>("--events", [this](std::uint64_t n) { invocation_.command.request["events"] = n; }, "how many events of each (default 1000)");
    auto* sending = group("sending", "accounts that met their sending limits: list, forgive");
    operation(sending, "list", "who was refused within a day");
    argument(operation(sending, "forgive", "forget what the account has sent: it was right"), "address", "ADDRESS", "");
  }

  void add_signing() {
    auto* dns = as_operation(app_.add_subcommand("dns", "the records that a domain should publish, and what is published now"), "dns");
    argument(dns, "domain", "DOMAIN", "such as example.org");
    auto* dkim = group("dkim", "signing keys: add, list, activate, retire, rm");
    auto* add = operation(dkim, "add", "make keys for a domain and print the DNS records");
    argument(add, "domain", "DOMAIN", "such as example.org");
    text_option(add, "algorithm", "--algorithm", "rsa, ed25519, or both (default): two signatures on each message");
    text_option(add, "selector", "--selector", "name of the one key; default: made of the date");
    add->add_flag_callback("--pending", [this] { invocation_.command.request["pending"] = true; }, "do not sign with it before relais dkim activate");
    auto* list = operation(dkim, "list", "the keys");
    list->add_option_function<std::string>("DOMAIN", [this](const std::string& value) { invocation_.command.request["domain"] = value; }, "only of this domain");
    const auto one = [&](const std::string& name, const std::string& text) {
      auto* app = operation(dkim, name, text);
      argument(app, "domain", "DOMAIN", "");
      argument(app, "selector", "SELECTOR", "as in dkim list");
      return app;
    };
    one("activate", "sign with the key from now on: its record is published");
    one("retire", "do not sign with it any more; leave its record published for some days");
    one("rm", "forget a key")->add_flag_callback("--force", [this] { invocation_.command.request["force"] = true; }, "even one that signs");
  }

  // A command that prints a text of its own, as a string where JSON is asked for.
  void prints(CLI::App* app, std::string (*text)()) {
    json_flag(app);
    app->callback([this, text] {
      invocation_.run = [text](Invocation& invocation) {
        std::cout << (invocation.as_json ? json(text()).dump() + "\n" : text());
        return static_cast<int>(kExitOk);
      };
    });
  }

  void add_config() {
    auto* config = group("config", "configuration: defaults, check");
    auto* defaults = config->add_subcommand("defaults", "print every key with its meaning and default, as TOML");
    prints(defaults, render_default_settings);
    auto* reference = config->add_subcommand("reference", "print docs/config.md");
    prints(reference, render_settings_reference);
    auto* check = config->add_subcommand("check", "read the configuration and say what is wrong with it");
    check->add_option("--dir", invocation_.command.dir, "the platform's directory")->envname("RELAIS_DIR")->required();
    json_flag(check);
    check->callback([this] {
      invocation_.run = [](Invocation& invocation) {
        const auto settings = load_settings(invocation.command.dir);
        if (!settings) return report(settings.error(), invocation.as_json);
        std::cout << (invocation.as_json ? "{\"valid\":true}\n" : "the configuration is valid\n");
        return static_cast<int>(kExitOk);
      };
    });
  }

  void add_others() {
    auto* version = app_.add_subcommand("version", "print the version");
    json_flag(version);
    version->callback([this] {
      invocation_.run = [](Invocation& invocation) {
        std::cout << (invocation.as_json ? json{{"version", kVersion}}.dump() : "relais " + std::string(kVersion)) << '\n';
        return static_cast<int>(kExitOk);
      };
    });
    auto* help = app_.add_subcommand("help", "tell more of a command");
    help->add_option("COMMAND", help_of_, "such as: account add");
    json_flag(help);
    help->callback([this] { invocation_.run = [this](Invocation& invocation) { return print_help(invocation.as_json); }; });
  }

  int print_help(bool as_json) {
    CLI::App* app = &app_;
    for (const auto& word : help_of_) {
      CLI::App* next = nullptr;
      for (auto* candidate : app->get_subcommands([](CLI::App*) { return true; })) {
        if (candidate->get_name() == word) next = candidate;
      }
      if (!next) {
        return report(Error{Fault::syntax, "", "no command '" + word + "'; see relais help", ""}, as_json);
      }
      app = next;
    }
    // Not app->help(): that would show the help of the command that was parsed, `help` itself.
    const auto text = app->get_formatter()->make_help(app, app == &app_ ? "relais" : app->get_name(), CLI::AppFormatMode::Normal);
    std::cout << (as_json ? json(text).dump() + "\n" : text);
    return kExitOk;
  }

  Invocation& invocation_;
  std::vector<std::string> help_of_;
  CLI::App app_{"Relais, a mail platform: receives, keeps and serves mail.", "relais"};
};

}  // namespace

int run_cli(int argc, char** argv) {
  Invocation invocation;
  CommandLine line(invocation);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::Success& success) {
    return line.app().exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "relais: " << error.what() << "\n        relais help lists the commands\n";
    return kExitUsage;
  }
  if (!invocation.run) {
    std::cout << line.app().help();
    return kExitOk;
  }
  return invocation.run(invocation);
}

}  // namespace relais::admin
