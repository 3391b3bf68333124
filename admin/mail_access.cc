// Two ways to the queue and its neighbours.
#include "admin/mail_access.h"

#include "admin/layout.h"
#include "admin/mail_out.h"

namespace relais::admin {
namespace {

class RunningMail final : public MailAccess {
 public:
  RunningMail(const config::Values& settings, std::filesystem::path dir, MailOut& out, smtp::FileTraceLog& trace)
      : MailAccess(settings, std::move(dir)), out_(out), trace_(trace) {}
  Result<smtp::queue::Queue*> queue() override { return &out_.queue(); }
  Result<net::Resolver*> resolver() override { return &out_.resolver(); }
  Result<antispam::SendingLimits*> sending() override { return &out_.sending(); }
  void flush_trace() override { trace_.flush(); }
  net::Task<void> routes_changed(std::vector<std::string> destinations) override { return out_.routes_changed(std::move(destinations)); }
  net::Task<void> platform_changed(std::string name) override { return out_.platform_changed(std::move(name)); }

 private:
  MailOut& out_;
  smtp::FileTraceLog& trace_;
};

/// Never asked: a queue that was not started sends nothing.
class NoTransport final : public smtp::queue::Transport {
 public:
  std::unique_ptr<smtp::queue::Lane> lane(const std::string&, net::Loop&) override { return nullptr; }
};

class MailOnData final : public MailAccess {
 public:
  MailOnData(const config::Values& settings, std::filesystem::path dir, directory::Directory& directory, storage::Store& store, net::WorkerPool& workers)
      : MailAccess(settings, std::move(dir)), store_(store), workers_(workers), routing_(directory) {}
  ~MailOnData() override {
    if (sending_) (void)sending_->save(Layout(dir()).sending().string());
  }

  Result<smtp::queue::Queue*> queue() override {
    if (!queue_) {
      RELAIS_TRY(trace_, smtp::FileTraceLog::open(trace_options(settings(), dir())));
      RELAIS_TRY(queue_, OpenQueue::open(settings(), dir(), workers_, transport_, routing_, store_, *trace_));
    }
    return &queue_->queue();
  }
  Result<net::Resolver*> resolver() override {
    if (!resolver_) {
      RELAIS_TRY(resolver_, net::UnboundResolver::open(resolver_settings(settings())));
    }
    return resolver_.get();
  }
  Result<antispam::SendingLimits*> sending() override {
    if (!sending_) {
      auto opened = std::make_unique<antispam::SendingLimits>(sending_limits(settings()));
      RELAIS_TRY_VOID(opened->load(Layout(dir()).sending().string()));
      sending_ = std::move(opened);
    }
    return sending_.get();
  }
  void flush_trace() override {
    if (trace_) trace_->flush();
  }
  net::Task<void> routes_changed(std::vector<std::string>) override { co_return Result<void>{}; }
  net::Task<void> platform_changed(std::string) override { co_return Result<void>{}; }

 private:
  storage::Store& store_;
  net::WorkerPool& workers_;
  smtp::Routing routing_;
  NoTransport transport_;
  std::unique_ptr<smtp::FileTraceLog> trace_;
  std::unique_ptr<OpenQueue> queue_;
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<antispam::SendingLimits> sending_;
};

}  // namespace

std::unique_ptr<MailAccess> running_mail(const config::Values& settings, std::filesystem::path dir, MailOut& out, smtp::FileTraceLog& trace) {
  return std::make_unique<RunningMail>(settings, std::move(dir), out, trace);
}

std::unique_ptr<MailAccess> mail_on_the_data(const config::Values& settings, std::filesystem::path dir, directory::Directory& directory, storage::Store& store,
                                             net::WorkerPool& workers) {
  return std::make_unique<MailOnData>(settings, std::move(dir), directory, store, workers);
}

}  // namespace relais::admin
