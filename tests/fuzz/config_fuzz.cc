// Any octets as a configuration file. Properties: no crash or sanitizer report; a refusal names file and line; what is accepted is
// within the schema's ranges.
#include "base/config.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace config = relais::config;

namespace {

const config::Schema& schema() {
  static const auto made = [] {
    config::Schema s;
    s.section("imap", "", {config::list("listen", {"0.0.0.0:143"}, ""), config::size("max_line", "64KB", "1KB", "1MB", "")});
    s.section("log", "", {config::choice("format", "logfmt", {"logfmt", "json"}, ""), config::boolean("colour", false, "")});
    s.section("smtp.queue", "", {config::integer("workers", 4, 1, 64, "workers", ""), config::duration("retry", "5m", "1s", "1d", "")});
    s.repeated("tls.certificate", "", {config::required(config::text("file", "", "")), config::text("key", "", "")});
    return s;
  }();
  return made;
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto values = config::parse(schema(), {reinterpret_cast<const char*>(data), size}, "relais.toml");
  if (!values) {
    require(values.error().fault == relais::Fault::refused);
    require(values.error().text.starts_with("relais.toml:"));
    return 0;
  }
  require(values->size("imap.max_line") >= 1024 && values->size("imap.max_line") <= 1024 * 1024);
  require(values->integer("smtp.queue.workers") >= 1 && values->integer("smtp.queue.workers") <= 64);
  require(values->duration("smtp.queue.retry") >= std::chrono::seconds(1));
  const auto& format = values->text("log.format");
  require(format == "logfmt" || format == "json");
  for (const auto& table : values->tables("tls.certificate")) require(table.given("file"));
  return 0;
}
