// SASL messages and stored hashes: what is accepted is well-formed and is written back the same; what is refused says why.
#include "base/encode.h"
#include "directory/password.h"
#include "directory/password_schemes.h"
#include "directory/sasl_messages.h"

#include <cstdlib>
#include <string>
#include <string_view>

using namespace relais;
using namespace relais::directory;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <class T>
void require_reason(const Result<T>& result) {
  if (!result) require((result.error().fault == Fault::syntax || result.error().fault == Fault::refused) && !result.error().text.empty());
}

void plain(std::string_view in) {
  const auto message = parse_plain(in);
  require_reason(message);
  if (!message) return;
  require(!message->authcid.empty() && !message->password.empty());
  require(message->authzid + '\0' + message->authcid + '\0' + message->password == in);
}

void scram(std::string_view in) {
  const auto first = parse_client_first(in);
  require_reason(first);
  if (first) {
    require(!first->user.empty() && !first->nonce.empty());
    require(first->gs2_header + first->bare == in);
    require(first->gs2_header.ends_with(','));
  }
  const auto last = parse_client_final(in);
  require_reason(last);
  if (last) {
    require(in.starts_with(last->without_proof) && !last->nonce.empty());
    require(last->without_proof + ",p=" + to_base64(last->proof) == in);
  }
}

void hash(std::string_view in) {
  const auto parsed = parse_scheme(in);
  require_reason(parsed);
  if (!parsed) return;
  const auto credential = import_credential(in);
  require_reason(credential);
  // What import stores is read back as the same.
  if (!credential) return;
  const auto again = parse_scheme(credential->hash);
  require(again && again->scheme == parsed->scheme && again->data == parsed->data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view in{reinterpret_cast<const char*>(data) + 1, size - 1};
  switch (data[0] % 3) {
    case 0: plain(in); break;
    case 1: scram(in); break;
    default: hash(in); break;
  }
  return 0;
}
