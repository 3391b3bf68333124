// ID: who we are, and a log line of who the client says it is.
#include "imap/server/id.h"

#include "base/ascii.h"
#include "imap/proto/id.h"
#include "imap/proto/write.h"

namespace relais::imap {
namespace {

std::string_view value_of(const IdFields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (iequals(key, name) && value) return *value;
  }
  return {};
}

}  // namespace

net::Task<Done> id(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto fields, parse_id(command.rest, session.dialect()));
  if (!fields.empty()) {
    session.log().event(log::Level::debug, "client",
                        {{"name", value_of(fields, "name")}, {"version", value_of(fields, "version")}, {"os", value_of(fields, "os")}});
  }
  // RFC 2971 §3.1: the server's own answer does not depend on what the client told.
  const auto& options = session.server().options();
  auto& out = session.out();
  out += "* ID (\"name\" ";
  append_string(out, options.server_name);
  if (!options.version.empty()) {
    out += " \"version\" ";
    append_string(out, options.version);
  }
  out += ")\r\n";
  co_return Done{"ID completed"};
}

}  // namespace relais::imap
