// Carries a command out in the running platform, or on the data where none runs.
#include "admin/command.h"

#include "admin/control.h"
#include "admin/layout.h"
#include "admin/migration.h"
#include "admin/platform.h"
#include "admin/settings.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <thread>

namespace relais::admin {
namespace {

Result<json> on_the_data(const Layout& layout, const Command& command, const config::Values& settings) {
  net::WorkerPool workers(1, 64);
  net::LoopPool loops(1);
  RELAIS_TRY(const auto data, Data::open(layout, settings, workers));
  auto mail = mail_on_the_data(settings, layout.root, *data->directory, *data->store, workers);
  MovesOnData moving(settings, layout.root, workers);
  auto backend = data->backend(workers, *mail, moving);
  loops.start();
  auto result = boost::asio::co_spawn(loops.at(0).executor(), run_operation(backend, command.operation, command.request), boost::asio::use_future).get();
  mail.reset();
  data->store->close();
  return result;
}

}  // namespace

Result<json> carry_out(const Command& command) {
  const Layout layout(std::filesystem::absolute(command.dir));
  RELAIS_TRY(const auto settings, load_settings(layout.root));
  // Between two commands of a script a platform may start or end: the lock decides, and each side is asked again for a moment.
  constexpr int kTries = 50;
  constexpr auto kPause = std::chrono::milliseconds(100);
  for (int attempt = 1;; ++attempt) {
    if (auto answer = ask_running_platform(layout.socket(), command.operation, command.request)) return std::move(*answer);
    auto result = on_the_data(layout, command, settings);
    const bool locked = !result && result.error().fault == Fault::temporary && result.error().code == "INUSE";
    if (!locked || attempt == kTries) return result;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace relais::admin
