// The server's side of PLAIN, LOGIN and SCRAM-SHA-256.
#include "directory/sasl.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "base/random.h"
#include "directory/digest.h"
#include "directory/sasl_messages.h"

#include <array>

namespace relais::directory {
namespace {

constexpr std::size_t kNonce = 18;  // octets, 24 characters of base64

std::unexpected<Error> authentication_failed() { return fail(Fault::refused, "authentication failed", "AUTHENTICATIONFAILED"); }

/// RFC 4422 §2: a client may ask to act as somebody else. Nobody may here, so the two must name the same.
bool acts_for_itself(std::string_view authzid, std::string_view authcid) noexcept { return authzid.empty() || iequals(authzid, authcid); }

Result<SaslStep> challenge(std::string text) {
  SaslStep step;
  step.challenge = std::move(text);
  return step;
}

class Mechanism : public SaslServer {
 public:
  explicit Mechanism(Authenticator& authenticator) : authenticator_(authenticator) {}
  std::string_view user() const noexcept override { return user_; }

 protected:
  net::Task<SaslStep> log_in(std::string password) {
    const Wiper wiper(password);
    RELAIS_CO_TRY(auto login, co_await authenticator_.authenticate(user_, password));
    SaslStep step;
    step.done = true;
    step.login = std::move(login);
    co_return step;
  }

  Authenticator& authenticator_;
  std::string user_;
};

/// RFC 4616.
class Plain final : public Mechanism {
 public:
  using Mechanism::Mechanism;
  net::Task<SaslStep> step(std::optional<std::string> response) override {
    if (!response) co_return challenge("");
    const Wiper wipe_response(*response);
    RELAIS_CO_TRY(auto message, parse_plain(*response));
    const Wiper wipe_password(message.password);
    user_ = message.authcid;
    if (!acts_for_itself(message.authzid, message.authcid)) co_return authentication_failed();
    co_return co_await log_in(message.password);
  }
};

/// draft-murchison-sasl-login-00, for old clients: two prompts.
class Login final : public Mechanism {
 public:
  using Mechanism::Mechanism;
  net::Task<SaslStep> step(std::optional<std::string> response) override {
    if (!response) co_return challenge("Username:");
    if (response->contains('\0') || response->empty()) co_return fail(Fault::syntax, "malformed LOGIN response");
    if (user_.empty()) {
      user_ = std::move(*response);
      co_return challenge("Password:");
    }
    const Wiper wiper(*response);
    co_return co_await log_in(*response);
  }
};

/// RFC 5802 with SHA-256 (RFC 7677). Channel binding is not offered.
class ScramSha256 final : public Mechanism {
 public:
  using Mechanism::Mechanism;
  net::Task<SaslStep> step(std::optional<std::string> response) override {
    switch (state_) {
      case State::first:
        if (!response) co_return challenge("");
        co_return co_await client_first(std::move(*response));
      case State::final:
        state_ = State::over;
        if (!response) break;
        co_return co_await client_final(std::move(*response));
      case State::over: break;
    }
    co_return fail(Fault::syntax, "unexpected SCRAM message");
  }

 private:
  enum class State : std::uint8_t { first, final, over };

  net::Task<SaslStep> client_first(std::string message) {
    state_ = State::over;
    RELAIS_CO_TRY(first_, parse_client_first(message));
    user_ = first_.user;
    if (!acts_for_itself(first_.authzid, first_.user)) co_return authentication_failed();
    RELAIS_CO_TRY(keys_, co_await authenticator_.scram_keys(user_));
    nonce_ = first_.nonce + to_base64(random_octets(kNonce));
    server_first_ = scram_server_first(nonce_, keys_.salt, keys_.iterations);
    state_ = State::final;
    co_return challenge(server_first_);
  }

  net::Task<SaslStep> client_final(std::string message) {
    RELAIS_CO_TRY(const auto last, parse_client_final(message));
    // RFC 5802 §5.1: "c=" repeats the gs2-header, "r=" the whole nonce.
    if (last.binding != first_.gs2_header || last.nonce != nonce_) co_return authentication_failed();
    const auto auth_message = first_.bare + "," + server_first_ + "," + last.without_proof;
    if (!scram_proof_fits(keys_, auth_message, last.proof)) co_return authentication_failed();
    RELAIS_CO_TRY(auto login, co_await authenticator_.login_verified(user_, keys_.generation));
    SaslStep step;
    step.done = true;
    step.challenge = scram_server_final(keys_, auth_message);
    step.login = std::move(login);
    co_return step;
  }

  State state_ = State::first;
  ScramClientFirst first_;
  ScramKeys keys_;
  std::string nonce_;
  std::string server_first_;
};

struct MechanismRow {
  std::string_view name;
  bool plaintext;  ///< the password itself crosses the wire
  std::unique_ptr<SaslServer> (*make)(Authenticator&);
};

template <class M>
std::unique_ptr<SaslServer> make(Authenticator& authenticator) {
  return std::make_unique<M>(authenticator);
}

// Strongest first.
constexpr std::array kMechanisms{
    MechanismRow{"SCRAM-SHA-256", false, &make<ScramSha256>},
    MechanismRow{"PLAIN", true, &make<Plain>},
    MechanismRow{"LOGIN", true, &make<Login>},
};

}  // namespace

std::vector<std::string_view> sasl_mechanisms(const Directory& directory, bool encrypted, bool allow_plaintext) {
  std::vector<std::string_view> names;
  for (const auto& row : kMechanisms) {
    if (row.plaintext ? encrypted || allow_plaintext : directory.scram_ready()) names.push_back(row.name);
  }
  return names;
}

std::unique_ptr<SaslServer> make_sasl_server(Authenticator& authenticator, std::string_view mechanism, bool encrypted,
                                             bool allow_plaintext) {
  for (const auto& row : kMechanisms) {
    if (iequals(row.name, mechanism) && (!row.plaintext || encrypted || allow_plaintext)) return row.make(authenticator);
  }
  return nullptr;
}

}  // namespace relais::directory
