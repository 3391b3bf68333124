// Runs the platform until a signal ends it.
#include "admin/serve.h"

#include "admin/platform.h"
#include "base/log.h"
#include "base/version.h"

#include <csignal>
#include <cstdio>
#include <pthread.h>

namespace relais::admin {
namespace {

// Blocked before any thread exists, so that the signals reach this thread's sigwait alone.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

}  // namespace

Result<void> serve_platform(const std::filesystem::path& dir) {
  const auto signals = block_signals();
  RELAIS_TRY(auto settings, load_settings(dir));
  log::configure(log_level(settings), log_format(settings));
  RELAIS_TRY(const auto platform, Platform::start(dir, std::move(settings)));
  const auto line = platform->ready_line();
  std::puts(line.c_str());
  std::fflush(stdout);
  log::event(log::Level::info, "ready", {{"version", kVersion}});

  for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
    if (sigwait(&signals, &signal) != 0 || signal != SIGHUP) continue;
    if (const auto done = platform->reload(); done) {
      log::event(log::Level::info, "reloaded", {});
    } else {
      log::event(log::Level::error, "reload_failed", {{"reason", done.error().text}, {"detail", done.error().detail}});
    }
  }
  log::event(log::Level::info, "stopping", {});
  const bool clean = platform->stop();
  log::event(log::Level::info, "stopped", {{"clean", clean}});
  log::flush();
  return {};
}

}  // namespace relais::admin
