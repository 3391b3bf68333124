// The mechanisms against GNU SASL's client, and against messages that no client should send.
#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"
#include "directory/sasl.h"
#include "directory/sasl_messages.h"
#include "directory/test_support.h"

#include <gmock/gmock.h>
#include <gsasl.h>
#include <gtest/gtest.h>

namespace relais::directory {
namespace {

using testing::ElementsAre;
using namespace std::string_literals;

class SaslTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(d.run(d->add_domain("example.org")));
    ASSERT_TRUE(d.run(d->add_account("ann@example.org", "p=e,n c\xc3\xa9il", 0)));
  }

  Result<SaslStep> step(SaslServer& server, std::optional<std::string> response) { return d.run(server.step(std::move(response))); }
  std::unique_ptr<SaslServer> server(std::string_view mechanism) { return make_sasl_server(*d, mechanism, true, false); }

  struct Outcome {
    bool server_done = false;
    bool client_done = false;
    std::string error;
  };

  /// Runs GNU SASL's client against our server.
  Outcome converse(const char* mechanism, const char* user, const char* password, const char* authzid = nullptr) {
    Outcome outcome;
    Gsasl* context = nullptr;
    Gsasl_session* client = nullptr;
    EXPECT_EQ(gsasl_init(&context), GSASL_OK);
    EXPECT_EQ(gsasl_client_start(context, mechanism, &client), GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, user);
    gsasl_property_set(client, GSASL_PASSWORD, password);
    if (authzid != nullptr) gsasl_property_set(client, GSASL_AUTHZID, authzid);
    auto ours = server(mechanism);
    std::optional<std::string> response;
    std::string challenge;
    for (int i = 0; i < 8 && !outcome.server_done; ++i) {
      auto reply = step(*ours, response);
      if (!reply) {
        outcome.error = reply.error().code.empty() ? reply.error().text : reply.error().code;
        break;
      }
      outcome.server_done = reply->done;
      if (reply->done && reply->challenge.empty()) {
        outcome.client_done = true;
        break;
      }
      char* out = nullptr;
      std::size_t size = 0;
      const int rc = gsasl_step(client, reply->challenge.data(), reply->challenge.size(), &out, &size);
      if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
        outcome.error = gsasl_strerror(rc);
        break;
      }
      response.emplace(out, size);
      gsasl_free(out);
      if (reply->done) outcome.client_done = rc == GSASL_OK;
    }
    gsasl_finish(client);
    gsasl_done(context);
    return outcome;
  }

  TestDirectory d{{.default_domain = "example.org"}};
};

constexpr const char* kPassword = "p=e,n c\xc3\xa9il";

TEST_F(SaslTest, GnuSaslClientsLogIn) {
  for (const auto* mechanism : {"PLAIN", "LOGIN", "SCRAM-SHA-256"}) {
    SCOPED_TRACE(mechanism);
    for (const auto* user : {"ann", "Ann@example.org"}) {
      const auto good = converse(mechanism, user, kPassword);
      EXPECT_TRUE(good.server_done && good.client_done) << user << ": " << good.error;
    }
    EXPECT_EQ(converse(mechanism, "ann", "wrong").error, "AUTHENTICATIONFAILED");
    EXPECT_EQ(converse(mechanism, "nobody", kPassword).error, "AUTHENTICATIONFAILED");
    EXPECT_EQ(converse(mechanism, "strange,=name", kPassword).error, "AUTHENTICATIONFAILED");
    ASSERT_TRUE(d.run(d->set_enabled("ann@example.org", false)));
    EXPECT_EQ(converse(mechanism, "ann", kPassword).error, "AUTHENTICATIONFAILED");
    ASSERT_TRUE(d.run(d->set_enabled("ann@example.org", true)));
  }
}

TEST_F(SaslTest, TheAuthorizationIdentityMustBeTheUser) {
  for (const auto* mechanism : {"PLAIN", "SCRAM-SHA-256"}) {
    EXPECT_TRUE(converse(mechanism, "ann", kPassword, "ann").server_done) << mechanism;
    EXPECT_EQ(converse(mechanism, "ann", kPassword, "bob").error, "AUTHENTICATIONFAILED") << mechanism;
  }
}

TEST_F(SaslTest, ComposedAndDecomposedPasswordsMeet) {
  EXPECT_TRUE(converse("SCRAM-SHA-256", "ann", "p=e,n ce\xcc\x81il").server_done);
  EXPECT_TRUE(converse("PLAIN", "ann", "p=e,n ce\xcc\x81il").server_done);
}

TEST_F(SaslTest, ImportedDovecotKeysServeScram) {
  ASSERT_TRUE(d.run(d->import_account(
      {"bob@example.org", "{SCRAM-SHA-256}4096,UXAPoDwUUGQ46wPcO35ufw==,JGS8QX7GjnP8nUAwPWCh6W3eA6qGH58Le3YJawJ6rFY=,wnd+AVv9cXjgfKX4oN0eTOrQ/jX2ZlHuM3jDSTZIR4E=", 0})));
  EXPECT_TRUE(d->scram_ready());
  EXPECT_TRUE(converse("SCRAM-SHA-256", "bob", "Gr0ß secret").client_done);
  EXPECT_TRUE(converse("PLAIN", "bob", "Gr0ß secret").server_done);
}

TEST_F(SaslTest, ANewPasswordEndsAnExchangeThatRuns) {
  auto ours = server("SCRAM-SHA-256");
  const auto first = step(*ours, "n,,n=ann,r=abc");
  ASSERT_TRUE(first);
  const auto keys = d.run(d->scram_keys("ann")).value();
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "other")));
  EXPECT_EQ(d.run(d->login_verified("ann", keys.generation)).error().code, "AUTHENTICATIONFAILED");
}

TEST_F(SaslTest, MechanismsAnnounced) {
  EXPECT_THAT(sasl_mechanisms(*d, true, false), ElementsAre("SCRAM-SHA-256", "PLAIN", "LOGIN"));
  EXPECT_THAT(sasl_mechanisms(*d, false, true), ElementsAre("SCRAM-SHA-256", "PLAIN", "LOGIN"));
  EXPECT_THAT(sasl_mechanisms(*d, false, false), ElementsAre("SCRAM-SHA-256"));
  ASSERT_TRUE(d.run(d->import_account({"old@example.org", "{PLAIN}x", 0})));
  EXPECT_THAT(sasl_mechanisms(*d, true, false), ElementsAre("PLAIN", "LOGIN"));
  EXPECT_NE(make_sasl_server(*d, "scram-sha-256", false, false), nullptr);
  EXPECT_EQ(make_sasl_server(*d, "PLAIN", false, false), nullptr);
  EXPECT_EQ(make_sasl_server(*d, "SCRAM-SHA-256-PLUS", true, false), nullptr);
  EXPECT_EQ(make_sasl_server(*d, "", true, false), nullptr);
}

TEST_F(SaslTest, PlainMessages) {
  struct Case {
    std::string message;
    std::string error;  // empty: logs in
  };
  const Case cases[] = {
      {"\0ann\0"s + kPassword, ""},
      {"ann\0ann\0"s + kPassword, ""},
      {"bob\0ann\0"s + kPassword, "AUTHENTICATIONFAILED"},
      {"", "malformed PLAIN message"},
      {"\0"s, "malformed PLAIN message"},
      {"\0ann"s, "malformed PLAIN message"},
      {"\0ann\0"s, "malformed PLAIN message"},
      {"\0\0x"s, "malformed PLAIN message"},
      {"\0ann\0x\0"s, "malformed PLAIN message"},
      {"\0\xff\0x"s, "user name is not UTF-8"},
  };
  for (const auto& c : cases) {
    auto ours = server("PLAIN");
    const auto done = step(*ours, c.message);
    if (c.error.empty()) {
      EXPECT_TRUE(done && done->done && done->login->account.address == "ann@example.org");
      EXPECT_EQ(ours->user(), "ann");
    } else {
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code.empty() ? done.error().text : done.error().code, c.error);
    }
  }
  auto ours = server("PLAIN");
  const auto prompt = step(*ours, std::nullopt);
  EXPECT_TRUE(prompt && !prompt->done && prompt->challenge.empty());
}

TEST_F(SaslTest, LoginPromptsAndInitialResponse) {
  auto ours = server("LOGIN");
  EXPECT_EQ(step(*ours, std::nullopt)->challenge, "Username:");
  EXPECT_EQ(step(*ours, "ann")->challenge, "Password:");
  EXPECT_TRUE(step(*ours, kPassword)->done);
  auto initial = server("LOGIN");
  EXPECT_EQ(step(*initial, "ann")->challenge, "Password:");
  EXPECT_EQ(step(*initial, "").error().fault, Fault::syntax);
}

// RFC 7677 §3
TEST(ScramMessages, OfTheRfcsExample) {
  const auto first = parse_client_first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->user, "user");
  EXPECT_EQ(first->gs2_header, "n,,");
  const auto salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").value();
  const auto nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const auto server_first = scram_server_first(nonce, salt, 4'096);
  EXPECT_EQ(server_first, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const auto last =
      parse_client_final("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->binding, "n,,");
  EXPECT_EQ(last->nonce, nonce);
  const auto keys = derive_scram_keys("pencil", salt, 4'096);
  const auto auth_message = first->bare + "," + server_first + "," + last->without_proof;
  EXPECT_TRUE(scram_proof_fits(keys, auth_message, last->proof));
  EXPECT_FALSE(scram_proof_fits(keys, auth_message + "x", last->proof));
  EXPECT_FALSE(scram_proof_fits(keys, auth_message, ""));
  EXPECT_EQ(scram_server_final(keys, auth_message), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(ScramMessages, ClientFirstForms) {
  struct Case {
    std::string_view message;
    bool good;
  };
  constexpr Case cases[] = {
      {"n,,n=user,r=abc", true},      {"y,,n=user,r=abc", true},        {"n,a=user,n=user,r=abc", true}, {"n,,n=us=2Cer=3D,r=abc", true},
      {"n,,n=user,r=abc,x=ext", true}, {"p=tls-unique,,n=user,r=abc", false}, {"n,,m=x,n=user,r=abc", false},  {"n,,n=us=2der,r=abc", false},
      {"n,,n=,r=abc", false},         {"n,,n=user,r=", false},          {"n,,n=user", false},            {"n,n=user,r=abc", false},
      {"n,,r=abc,n=user", false},     {"", false},                      {"n", false},                    {"n,a=", false},
      {"n,a=x", false},               {"x,,n=user,r=abc", false},       {"n,,n=user,r=a\x01", false},    {"n,,n=user,r=abc,zzz", false},
      {"n,,n=\xff,r=abc", false},
  };
  for (const auto& c : cases) EXPECT_EQ(parse_client_first(c.message).has_value(), c.good) << c.message;
  EXPECT_EQ(parse_client_first("n,,n=us=2Cer=3D,r=abc")->user, "us,er=");
  EXPECT_EQ(parse_client_first("n,a=x,n=y,r=abc")->gs2_header, "n,a=x,");
}

TEST(ScramMessages, ClientFinalForms) {
  struct Case {
    std::string_view message;
    bool good;
  };
  constexpr Case cases[] = {
      {"c=biws,r=abc,p=AAAA", true},  {"c=biws,r=abc,x=y,p=AAAA", true}, {"c=biws,r=abc", false},     {"c=biws,r=abc,p=A", false},
      {"r=abc,c=biws,p=AAAA", false}, {"c=!,r=abc,p=AAAA", false},       {"c=biws,r=,p=AAAA", false}, {"", false},
      {",p=AAAA", false},             {"c=biws,p=AAAA", false},
  };
  for (const auto& c : cases) EXPECT_EQ(parse_client_final(c.message).has_value(), c.good) << c.message;
}

TEST_F(SaslTest, ScramRefusesTamperedMessages) {
  const auto exchange = [&](std::string_view binding, bool keep_nonce) {
    auto ours = server("SCRAM-SHA-256");
    const auto challenge = step(*ours, "n,,n=ann,r=abc")->challenge;
    const auto nonce = challenge.substr(2, challenge.find(',') - 2);
    EXPECT_TRUE(nonce.starts_with("abc"));
    std::string without("c=");
    without.append(binding).append(",r=").append(keep_nonce ? nonce : nonce + "x");
    // The right proof for what is sent: only the rule under test is broken.
    const auto keys = d.run(d->scram_keys("ann")).value();
    const auto salted = pbkdf2(Digest::sha256, kPassword, keys.salt, keys.iterations, 32);
    const auto client_key = hmac(Digest::sha256, salted, "Client Key");
    auto proof = hmac(Digest::sha256, keys.stored_key, "n=ann,r=abc," + challenge + "," + without);
    for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
    const auto done = step(*ours, without + ",p=" + to_base64(proof));
    EXPECT_FALSE(step(*ours, "again"));
    return done.has_value();
  };
  EXPECT_TRUE(exchange("biws", true));
  EXPECT_FALSE(exchange("eSws", true));   // "y,,": a downgrade in the middle
  EXPECT_FALSE(exchange("biws", false));
}

}  // namespace
}  // namespace relais::directory
