// Puts together what mail needs to leave.
#include "admin/mail_out.h"

#include "admin/layout.h"
#include "base/ascii.h"
#include "base/log.h"
#include "message/header.h"
#include "net/https.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <thread>

namespace relais::admin {
namespace {

namespace fs = std::filesystem;
namespace queue = smtp::queue;

constexpr auto kHousekeeping = std::chrono::minutes(1);
constexpr unsigned kPoliciesEvery = 60;  // rounds of housekeeping
constexpr auto kStopPoll = std::chrono::milliseconds(10);

}  // namespace

// ---- the queue alone

Result<std::unique_ptr<OpenQueue>> OpenQueue::open(const config::Values& settings, const fs::path& dir, net::WorkerPool& workers, queue::Transport& transport,
                                                   queue::Router& router, storage::Store& store, smtp::TraceLog& trace) {
  std::unique_ptr<OpenQueue> opened(new OpenQueue);
  RELAIS_TRY(opened->shards_, queue::open_queue_shards(queue_storage(settings, dir, workers)));
  std::vector<storage::Engine*> engines;
  for (const auto& shard : opened->shards_) engines.push_back(shard.get());
  opened->queue_ = std::make_unique<queue::Queue>(
      queue::QueueParts{.shards = std::move(engines), .transport = transport, .router = router, .store = &store, .trace = trace}, queue_options(settings),
      queue_rules(settings));
  RELAIS_TRY_VOID(opened->queue_->open());
  return opened;
}

OpenQueue::~OpenQueue() {
  for (const auto& shard : shards_) shard->close();
}

// ---- all of it

class MailOut::QueueIntake final : public smtp::Intake {
 public:
  explicit QueueIntake(queue::Queue& queue) : queue_(queue) {}
  net::Task<void> accept(std::vector<queue::NewMessage> messages) override { return queue_.accept(std::move(messages)); }
  Result<void> writable() const override { return queue_.writable(); }

 private:
  queue::Queue& queue_;
};

MailOut::MailOut(const config::Values& settings, const fs::path& dir, MailOutParts parts)
    : parts_(parts),
      hostname_(host_name(settings)),
      sending_file_(Layout(dir).sending()),
      rules_(std::make_shared<const queue::Rules>(queue_rules(settings))),
      sending_(admin::sending_limits(settings)),
      route_rules_([this](std::string_view destination) {
        const auto known = rules();
        const auto* own = known->find(destination);
        return own != nullptr && own->tls ? smtp::parse_tls_level(*own->tls) : std::nullopt;
      }),
      routing_(parts.directory) {}

MailOut::~MailOut() = default;

Result<std::unique_ptr<MailOut>> MailOut::open(const config::Values& settings, const fs::path& dir, MailOutParts parts) {
  std::unique_ptr<MailOut> out(new MailOut(settings, dir, parts));
  RELAIS_TRY_VOID(out->open_all(settings, dir));
  return out;
}

std::shared_ptr<const queue::Rules> MailOut::rules() const {
  const std::lock_guard lock(rules_mutex_);
  return rules_;
}

Result<void> MailOut::open_policies(const config::Values& settings, const fs::path& dir) {
  const auto folder = Layout(dir).outbound();
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return fail(Fault::temporary, "cannot make " + folder.string() + ": " + ec.message());
  auto* resolver = resolver_.get();
  if (settings.boolean("outbound.mta_sts")) {
    smtp::StsOptions options;
    options.directory = folder / "mta-sts";
    auto fetch = [this](std::string url) { return https_->get(std::move(url)); };
    RELAIS_TRY(sts_, smtp::MtaSts::open(std::move(options), *resolver, parts_.workers, fetch));
  }
  if (settings.boolean("outbound.tls_reports")) {
    smtp::TlsReportOptions options;
    options.directory = folder / "tls-reports";
    options.organization = hostname_;
    report_contact_ = settings.text("outbound.report_contact");
    if (report_contact_.empty()) report_contact_ = "postmaster@" + hostname_;
    options.contact = report_contact_;
    auto sender = [this](smtp::TlsReport report) { return send_report(std::move(report)); };
    RELAIS_TRY(reports_, smtp::TlsReports::open(std::move(options), *resolver, parts_.workers, sender));
  }
  return {};
}

Result<void> MailOut::open_all(const config::Values& settings, const fs::path& dir) {
  RELAIS_TRY(resolver_, net::UnboundResolver::open(resolver_settings(settings)));
  RELAIS_TRY(client_tls_, net::TlsContext::client(settings.text("outbound.ca_file"), true));
  https_ = std::make_unique<net::HttpsClient>(*resolver_, client_tls_);
  RELAIS_TRY_VOID(open_policies(settings, dir));
  if (const auto loaded = sending_.load(sending_file_.string()); !loaded) {
    log::event(log::Level::warning, "sending counters lost", {{"reason", loaded.error().text}, {"detail", loaded.error().detail}});
  }
  auto outbound = outbound_options(settings);
  outbound.rule = [this](const smtp::Destination& destination) { return route_rules_.rule(destination); };
  outbound_ = std::make_unique<smtp::Outbound>(*resolver_, std::move(outbound), sts_.get(), reports_.get());
  const auto source_address = [this](std::string_view destination) { return rules()->of(destination).source_address; };
  const smtp::Dialer dialer{.outbound = *outbound_,
                            .legacy = legacy_,
                            .tls = client_tls_,
                            .workers = &parts_.workers,
                            .hostname = hostname_,
                            .source_address = source_address};
  transport_ = std::make_unique<smtp::PlatformTransport>(smtp::TransportParts{
      .dialer = std::make_shared<const smtp::Dialer>(dialer), .routing = routing_, .store = parts_.store, .gate = parts_.gate});
  RELAIS_TRY(queue_, OpenQueue::open(settings, dir, parts_.workers, *transport_, routing_, parts_.store, parts_.trace));
  intake_ = std::make_unique<QueueIntake>(queue_->queue());
  auto impatient = dialer;  // a client waits
  impatient.timeouts = smtp::SessionRelayOptions::timeouts();
  impatient.max_addresses = 2;
  relays_ = std::make_unique<smtp::SessionRelays>(std::move(impatient));
  signing_ = std::make_unique<smtp::Signing>(parts_.directory, *resolver_, parts_.workers, hostname_);
  outgoing_ = std::make_unique<smtp::Outgoing>(smtp::Outgoing{.intake = *intake_, .relays = relays_.get(), .signer = signing_.get(), .sending = &sending_, .gate = &parts_.gate});
  outgoing_->check = [this](smtp::Destination destination) -> net::Task<void> {
    auto found = co_await outbound_->hosts(std::move(destination), smtp::TlsNeed::usual);
    if (!found) co_return fail(std::move(found).error());
    co_return Result<void>{};
  };
  return {};
}

smtp::DeliveryParts MailOut::delivery_parts() noexcept { return {.intake = intake_.get(), .router = &routing_, .trace = parts_.trace}; }

Result<void> MailOut::start(net::LoopPool& loops) {
  loops_ = &loops;
  // Where an account goes from its freeze, its mail goes at once.
  parts_.directory.listen({.placement_changed = [this](directory::AccountNumber account, const directory::Placement& placement) {
    if (placement.kind != directory::Placement::Kind::moving) spawn(release(account));
  }});
  const auto read = [this]() -> net::Task<void> {
    RELAIS_CO_TRY_VOID(co_await refresh_routes());
    co_return co_await refresh_platforms();
  };
  RELAIS_TRY_VOID(net::asio::co_spawn(loops.at(0).executor(), read(), net::asio::use_future).get());
  queue_->queue().start(loops);
  spawn(housekeeping());
  return {};
}

bool MailOut::stop(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!queue_->queue().stop()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kStopPoll);
  }
  return true;
}

void MailOut::save() {
  if (const auto saved = sending_.save(sending_file_.string()); !saved) {
    log::event(log::Level::warning, "sending counters not saved", {{"reason", saved.error().text}, {"detail", saved.error().detail}});
  }
  if (!reports_) return;
  if (const auto saved = reports_->save(); !saved) {
    log::event(log::Level::warning, "TLS counters not saved", {{"reason", saved.error().text}, {"detail", saved.error().detail}});
  }
}

Result<void> MailOut::reload(const config::Values& settings) {
  auto fresh = std::make_shared<const queue::Rules>(queue_rules(settings));
  sending_.set_options(admin::sending_limits(settings));
  queue_->queue().set_rules(*fresh);
  {
    const std::lock_guard lock(rules_mutex_);
    rules_ = std::move(fresh);
  }
  relays_->forget_pauses();
  return {};
}

net::asio::awaitable<void> MailOut::release(directory::AccountNumber account) {
  if (const auto done = co_await queue_->queue().release_account(account); !done)
    log::event(log::Level::error, "queue not released", {{"account", account}, {"reason", done.error().text}, {"detail", done.error().detail}});
}

void MailOut::spawn(net::asio::awaitable<void> work) {
  net::asio::co_spawn(loops_->at(0).context(), std::move(work), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

net::Task<void> MailOut::refresh_routes() {
  const auto began = route_rules_.begin();
  RELAIS_CO_TRY(auto routes, co_await parts_.directory.routes());
  route_rules_.set(std::move(routes), began);
  co_return Result<void>{};
}

net::Task<void> MailOut::routes_changed(std::vector<std::string> destinations) {
  RELAIS_CO_TRY_VOID(co_await refresh_routes());
  relays_->forget_pauses();
  for (const auto& destination : destinations) RELAIS_CO_TRY_VOID(co_await queue_->queue().release_destination(destination));
  co_return Result<void>{};
}

// One whose authorities cannot be read any more takes no mail until they can: its mail waits, and the log says why.
net::Task<void> MailOut::refresh_platforms() {
  const auto began = legacy_.begin();
  RELAIS_CO_TRY(auto platforms, co_await parts_.directory.platforms());
  auto job = [platforms = std::move(platforms)]() -> Result<std::vector<smtp::LegacyHop>> {
    std::vector<smtp::LegacyHop> hops;
    for (const auto& platform : platforms) {
      auto hop = smtp::hop_of(platform);
      if (!hop) {
        log::event(log::Level::error, "legacy platform without mail", {{"platform", platform.name}, {"reason", hop.error().text}, {"detail", hop.error().detail}});
      } else if (*hop) {
        hops.push_back(**std::move(hop));
      }
    }
    return hops;
  };
  RELAIS_CO_TRY(auto hops, co_await parts_.workers.run(std::move(job)));
  legacy_.set(std::move(hops), began);
  co_return Result<void>{};
}

net::Task<void> MailOut::platform_changed(std::string name) {
  RELAIS_CO_TRY_VOID(co_await refresh_platforms());
  relays_->forget_pauses();
  co_return co_await queue_->queue().release_destination(smtp::to_string(smtp::Destination{smtp::Destination::Kind::legacy, std::move(name)}));
}

// Policies of other domains, reports to them, counters: whatever nobody waits for.
net::asio::awaitable<void> MailOut::housekeeping() {
  net::asio::steady_timer timer(co_await net::asio::this_coro::executor);
  for (unsigned round = 1;; ++round) {
    timer.expires_after(kHousekeeping);
    boost::system::error_code cancelled;
    co_await timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, cancelled));
    if (cancelled) co_return;
    if (reports_) co_await reports_->run();
    if (sts_ && round % kPoliciesEvery == 0) co_await sts_->refresh();
    auto job = [this] { return sending_.save(sending_file_.string()); };
    if (const auto saved = co_await parts_.workers.run(job); !saved) {
      log::event(log::Level::warning, "sending counters not saved", {{"reason", saved.error().text}, {"detail", saved.error().detail}});
    }
  }
}

// One of the addresses is enough: mail, which the queue keeps, before POSTs.
net::Task<void> MailOut::send_report(smtp::TlsReport report) {
  if (!report.to.mail_to.empty()) co_return co_await mail_report(report);
  co_return co_await smtp::post_tls_report(*https_, report);
}

net::Task<void> MailOut::mail_report(const smtp::TlsReport& report) {
  // RFC 8460 §5.3: DKIM in the name of the domain that reports.
  const auto domain = report_contact_.substr(report_contact_.rfind('@') + 1);
  const auto signatures = co_await signing_->sign(domain, {.content = report.message});
  const std::string_view text = signatures.content.empty() ? report.message : signatures.content;
  queue::NewMessage message;
  message.trace_id = log::new_session_id() + "-r";
  message.sender = report_contact_;
  for (const auto& address : report.to.mail_to) {
    auto way = co_await routing_.destination(address);
    if (!way && way.error().fault != Fault::refused) co_return fail(std::move(way).error());
    if (way) message.recipients.push_back({.address = address, .notify = {smtp::Notify::kNever}, .destination = std::move(*way)});
  }
  if (message.recipients.empty()) co_return Result<void>{};
  message.content = storage::make_blob(signatures.fields, storage::encode_chunks(text));
  message.eight_bit = !is_ascii(text);
  message.optional_tls = true;  // RFC 8460 §3: also where TLS is what is broken
  message.client = "here";
  message.message_id = report.report_id;
  smtp::TraceEvent born{.id = message.trace_id, .kind = smtp::TraceKind::received, .from = message.sender};
  for (const auto& recipient : message.recipients) born.to.push_back(recipient.address);
  born.message_id = report.report_id;
  born.host = "here";
  born.detail = "TLS report about " + report.domain;
  parts_.trace.add(std::move(born));
  co_return co_await queue_->queue().accept(std::move(message));
}

}  // namespace relais::admin
