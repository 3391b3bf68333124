// What a platform answers when a session leaves it: however it is cut, the same comes of it and the same is passed on to the client; a map
// has exactly the messages that the client knows.
#include "imap/relay/client_map.h"
#include "net/loop.h"
#include "net/memory_stream.h"

#include <boost/asio/co_spawn.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

using namespace relais;
using namespace relais::imap;

namespace {

std::string described(const Result<ClientMap>& answer) {
  if (!answer) return "error " + answer.error().code + " " + answer.error().text + " " + answer.error().detail;
  std::string out = answer->uids.to_string();
  for (const auto& run : answer->flags.runs) {
    out.append("|").append(std::to_string(run.first)).append(":").append(std::to_string(run.last));
    for (const auto& flag : answer->flags.sets.at(run.set)) out.append(" ").append(flag);
  }
  return out;
}

std::string ask(std::string_view says, bool idles, std::uint32_t exists, std::size_t chunk) {
  net::Loop loop;
  net::Script server{.to_server = std::string(says), .chunk = chunk};
  net::Script client{.end = false};
  std::optional<Result<ClientMap>> answer;
  net::Connection platform(loop, net::scripted_stream(server), {});
  net::Connection listener(loop, net::scripted_stream(client), {});
  ClientMapQuestion question{.idle_tag = idles ? "i" : "", .exists = exists, .most = 100};
  net::asio::co_spawn(loop.context(), ask_client_map(platform, listener, std::move(question), net::in(std::chrono::hours(1))),
                      [&answer](const std::exception_ptr& thrown, Result<ClientMap> result) {
                        if (thrown) std::abort();
                        answer.emplace(std::move(result));
                      });
  while (!answer) loop.step(true);
  if (*answer && !idles && (*answer)->uids.count() != exists) std::abort();
  return described(*answer) + "\n" + client.from_server + listener.out();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view says(reinterpret_cast<const char*>(data) + 2, size - 2);
  const bool idles = (data[0] & 1) != 0;
  const std::uint32_t exists = data[0] >> 1U;
  const auto whole = ask(says, idles, exists, net::Script::kNever);
  for (const auto chunk : {std::size_t{1}, std::size_t{1} + data[1] % 16U}) {
    if (ask(says, idles, exists, chunk) != whole) std::abort();
  }
  return 0;
}
