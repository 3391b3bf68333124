// Schemes of other platforms (vectors made by doveadm pw, crypt(3) and argon2 tools), new credentials, upgrades, preparation.
#include "base/encode.h"
#include "directory/digest.h"
#include "directory/password.h"

#include <gtest/gtest.h>

namespace relais::directory {
namespace {

constexpr PasswordCost kCheap{64, 1, 4'096};
constexpr std::string_view kSecret = "Gr0ß secret";

struct SchemeCase {
  std::string_view name;
  std::string_view hash;
};

// doveadm pw -s SCHEME -p 'Gr0ß secret', Dovecot 2.3.19
constexpr SchemeCase kDovecot[] = {
    {"Plain", "{PLAIN}Gr0ß secret"},
    {"Cleartext", "{CLEARTEXT}Gr0ß secret"},
    {"PlainBase64", "{PLAIN.B64}R3Iww58gc2VjcmV0"},
    {"Crypt", "{CRYPT}$2y$05$5MRCQIu.zgZiROmkgsrSC.WPVbxsbyq5mbCWJInUnwUgHEvsgktle"},
    {"DesCrypt", "{DES-CRYPT}GrcZRV.DRM7l2"},
    {"Md5Crypt", "{MD5-CRYPT}$1$wi4i99Ty$st3Kz4y1Gu1wJ92fiD7hd1"},
    {"Md5", "{MD5}$1$91V4C.z8$nrEuyUKqGyeekQoUHc68A0"},
    {"Sha256Crypt", "{SHA256-CRYPT}$5$AnBNBMtXMaTEMphs$APnBEjkIubzG5BLXXzdShwpBPbmh47CwuPgU4Wc2WsA"},
    {"Sha256CryptHex",
     "{SHA256-CRYPT.HEX}2435244b697875586f656571786e51386b6841243545776e6b4c7237573646686e43774458354833624f755a68636e77626154383030486c46435631"
     "5a3741"},
    {"Sha512Crypt", "{SHA512-CRYPT}$6$QwgATP4A2xLaqe9N$Jel3yNbbQtMu2c9uiBiZNldyv1eOj/GkDJJGKPgpN78jbKIuPNNOA5sA.hOQHNVTCON1rqrnmLMrYiHb.llyH."},
    {"Sha512CryptBase64",
     "{SHA512-CRYPT.B64}JDYkOHEzNTUxaTM4RlVRd3lLaCRiUVV5Z2pvUUMva1FSeUdSMlJBeUlmU1BrLjd6RHBVUHVMLllLb3lrSlljZ1hMUkE0cWg3bzVaZHd1aUpNNXd0RkJuVWpuUWREa0FW"
     "UzU3dU9FOEdBMQ=="},
    {"BareSha512Crypt", "$6$QwgATP4A2xLaqe9N$Jel3yNbbQtMu2c9uiBiZNldyv1eOj/GkDJJGKPgpN78jbKIuPNNOA5sA.hOQHNVTCON1rqrnmLMrYiHb.llyH."},
    {"LowerCaseName", "{sha512-crypt}$6$QwgATP4A2xLaqe9N$Jel3yNbbQtMu2c9uiBiZNldyv1eOj/GkDJJGKPgpN78jbKIuPNNOA5sA.hOQHNVTCON1rqrnmLMrYiHb.llyH."},
    {"BlowfishCrypt", "{BLF-CRYPT}$2y$05$Zbr85capi9uO4YvWpzALReDx29RxBqnerP5ZGHhVUHa5y5uiRXeM2"},
    {"Argon2i", "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$942ybIuIXYY0SIA9PfWk0w$lkJDAUiAVCAyUzMce+shKPrQjKpn3C2t/UGdcbo+Y5M"},
    {"Argon2id", "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$g0JKJ2Qdv3ixfuHscNdQvg$SDdaYPTh5dRGYRTELAd8TkWQu00tAX8Epar/RVHU7FY"},
    {"BareArgon2id", "$argon2id$v=19$m=65536,t=3,p=1$g0JKJ2Qdv3ixfuHscNdQvg$SDdaYPTh5dRGYRTELAd8TkWQu00tAX8Epar/RVHU7FY"},
    {"Smd5", "{SMD5}2HrsRqmnGSOCEFq7hpKuPnXnltw="},
    {"LdapMd5", "{LDAP-MD5}Yb2MXhAgaCLyKr7p+JtrPA=="},
    {"PlainMd5", "{PLAIN-MD5}61bd8c5e10206822f22abee9f89b6b3c"},
    {"PlainMd5Base64", "{PLAIN-MD5.B64}Yb2MXhAgaCLyKr7p+JtrPA=="},
    {"Sha", "{SHA}eCYN7kqFr4uKCTXVcvwI1risx5A="},
    {"Sha1", "{SHA1}eCYN7kqFr4uKCTXVcvwI1risx5A="},
    {"Ssha", "{SSHA}HgxHqDmO/U1yGOC8kj0CoVXgTDhGs2u2"},
    {"SshaHex", "{SSHA.HEX}14c63865b5399f7795cdb54fd5125556cf0b4201b8aa7ffd"},
    {"Sha256", "{SHA256}Ip2fbDaXEub6GT/9tuu3L63IQzGdsb/Q6bNfTSRiogA="},
    {"Sha256WithoutPadding", "{SHA256}Ip2fbDaXEub6GT/9tuu3L63IQzGdsb/Q6bNfTSRiogA"},
    {"Sha256Hex", "{SHA256.HEX}229d9f6c369712e6fa193ffdb6ebb72fadc843319db1bfd0e9b35f4d2462a200"},
    {"Sha256HexByLength", "{SHA256}229d9f6c369712e6fa193ffdb6ebb72fadc843319db1bfd0e9b35f4d2462a200"},
    {"Ssha256", "{SSHA256}Lg4P2YpOZ9CAOS0hqo2O5oizPTELPKk7CeZiK2ayY2NNMkkJ"},
    {"Ssha256Base64", "{SSHA256.B64}CayWrLONgDFprDY6P9NJtkyLkXsOj5A1vwqbiaOyBv3ITaxi"},
    {"Sha512", "{SHA512}ARzp6FY4HDuGUCXmhzfcHNWPuFl6BnmqGpIrHnvI8ugMhw97HJSWPDBA/QvKbe93hvXGbQobpB9A9wTChlvuzA=="},
    {"Ssha512", "{SSHA512}Vw2yGjhW8rE3g5YDSk6fxY/VXp5lK263cZP4oE1jrMUYQpfuLUrBhz2kuGa9oqzT4Fb16v+M9t4Qbn2AQQMbw9wM1lM="},
    {"Pbkdf2", "{PBKDF2}$1$.5eP9okixh83ThRV$5000$55579667c208f0cdbcd0ac66c553af241341838d"},
    {"ScramSha1", "{SCRAM-SHA-1}4096,k5GN8E1FXgGDLVEFglDzCg==,t5KBFXSYITXTBFGWWsm6kckBBeY=,65qFczJjzUlDyBcNEfRUmudHAtg="},
    {"ScramSha256",
     "{SCRAM-SHA-256}4096,UXAPoDwUUGQ46wPcO35ufw==,JGS8QX7GjnP8nUAwPWCh6W3eA6qGH58Le3YJawJ6rFY=,wnd+AVv9cXjgfKX4oN0eTOrQ/jX2ZlHuM3jDSTZIR4E="},
};

class ImportedScheme : public testing::TestWithParam<SchemeCase> {};

TEST_P(ImportedScheme, FitsItsPasswordAloneAndWantsAnUpgrade) {
  const auto credential = import_credential(GetParam().hash);
  ASSERT_TRUE(credential) << credential.error().text;
  EXPECT_TRUE(verify_password(*credential, kSecret));
  EXPECT_FALSE(verify_password(*credential, "gr0ß secret"));
  EXPECT_FALSE(verify_password(*credential, ""));
  EXPECT_FALSE(verify_password(*credential, std::string(kSecret) + std::string("\0x", 2)));
  EXPECT_EQ(wants_upgrade(*credential, PasswordCost{}), credential->scram.iterations == 0);
  // What was stored is read back through the same parser.
  const auto again = import_credential(credential->hash);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_TRUE(verify_password(*again, kSecret));
}

INSTANTIATE_TEST_SUITE_P(Dovecot, ImportedScheme, testing::ValuesIn(kDovecot), [](const auto& info) { return std::string(info.param.name); });

TEST(ImportedHash, YescryptAndOtherCryptMethods) {
  // From crypt(5): the password is "pleaseletmein" in yescrypt's own test vectors.
  const auto yescrypt = import_credential("$y$jD5.7$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6");
  ASSERT_TRUE(yescrypt) << yescrypt.error().text;
  EXPECT_FALSE(verify_password(*yescrypt, "wrong"));
}

TEST(ImportedHash, MalformedOnesAreRefusedWithAReason) {
  constexpr std::string_view kBad[] = {
      "",
      "secret",
      "{}secret",
      "{PLAIN}",
      "{PLAIN",
      "{NTLM}00112233445566778899aabbccddeeff",
      "{CRAM-MD5}73a0095542c92a254a6ad728e117cc38d745fee1452a18120de29af4bb765bc6",
      "{SHA512-CRYPT}$5$AnBNBMtXMaTEMphs$APnBEjkIubzG5BLXXzdShwpBPbmh47CwuPgU4Wc2WsA",
      "{CRYPT}$99$what$ever000000000",
      "{SSHA}eCYN7kqFr4uKCTXVcvwI1risx5A=",
      "{SHA}eCYN7kqFr4uKCTXVcvwI1risx5A",
      "{SHA256}!!",
      "{SHA256.rot13}Ip2fbDaXEub6GT/9tuu3L63IQzGdsb/Q6bNfTSRiogA=",
      "{PBKDF2}$1$salt$0$55579667c208f0cdbcd0ac66c553af241341838d",
      "{PBKDF2}$1$salt$99999999999$55579667c208f0cdbcd0ac66c553af241341838d",
      "{SCRAM-SHA-256}4096,AAAA,AAAA,AAAA",
      "{ARGON2ID}$argon2id$v=19$m=99999999,t=3,p=1$g0JKJ2Qdv3ixfuHscNdQvg$SDdaYPTh5dRGYRTELAd8TkWQu00tAX8Epar/RVHU7FY",
      "{ARGON2ID}$argon2id$broken",
  };
  for (const auto hash : kBad) {
    const auto credential = import_credential(hash);
    if (hash == "{SHA}eCYN7kqFr4uKCTXVcvwI1risx5A") {
      EXPECT_TRUE(credential);  // padding may lack
      continue;
    }
    ASSERT_FALSE(credential) << hash;
    EXPECT_EQ(credential.error().fault, Fault::refused) << hash;
    EXPECT_FALSE(credential.error().text.empty()) << hash;
    EXPECT_EQ(credential.error().text.find("secret"), std::string::npos) << "the text must not repeat what may be a password";
  }
}

TEST(NewCredential, IsArgon2idWithScramKeysAndFits) {
  const auto made = new_credential(kSecret, kCheap);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->hash.starts_with("{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$"));
  EXPECT_EQ(made->scram.iterations, 4'096U);
  EXPECT_EQ(made->scram.salt.size(), 16U);
  EXPECT_TRUE(verify_password(*made, kSecret));
  EXPECT_FALSE(verify_password(*made, "other"));
  EXPECT_FALSE(wants_upgrade(*made, kCheap));
  EXPECT_TRUE(wants_upgrade(*made, PasswordCost{}));
  const auto other = new_credential(kSecret, kCheap);
  EXPECT_NE(made->hash, other->hash);
  EXPECT_NE(made->scram.salt, other->scram.salt);
}

TEST(NewCredential, DefaultsAreOwasps) {
  const auto made = new_credential("x", PasswordCost{});
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->hash.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"));
}

TEST(NewCredential, RefusesEmptyNulAndTooLong) {
  EXPECT_FALSE(new_credential("", kCheap));
  EXPECT_FALSE(new_credential(std::string_view("a\0b", 3), kCheap));
  EXPECT_FALSE(new_credential(std::string(kMaxPassword + 1, 'x'), kCheap));
  EXPECT_TRUE(new_credential(std::string(kMaxPassword, 'x'), kCheap));
}

// RFC 7677 §3: user "user", password "pencil".
TEST(ScramKeys, OfTheRfcsExample) {
  const auto salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").value();
  const auto keys = derive_scram_keys("pencil", salt, 4'096);
  EXPECT_EQ(to_base64(keys.stored_key), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
  EXPECT_EQ(to_base64(keys.server_key), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

TEST(PreparePassword, IsSaslprepWhereThatIsDefined) {
  EXPECT_EQ(prepare_password("plain ASCII"), "plain ASCII");
  EXPECT_EQ(prepare_password("I\xc2\xadX"), "IX");            // RFC 4013 §3: soft hyphen mapped to nothing
  EXPECT_EQ(prepare_password("\xc2\xaa"), "a");               // NFKC
  EXPECT_EQ(prepare_password("e\xcc\x81"), "\xc3\xa9");       // composed
  EXPECT_EQ(prepare_password("\x07"), "\x07");                // prohibited: kept as it is
  EXPECT_EQ(prepare_password("caf\xe9"), "caf\xe9");          // Latin-1: kept as it is
}

TEST(PreparePassword, BothSpellingsFitANewCredential) {
  const auto made = new_credential("caf\xc3\xa9", kCheap);
  ASSERT_TRUE(made);
  EXPECT_TRUE(verify_password(*made, "cafe\xcc\x81"));
  const auto latin = new_credential("caf\xe9", kCheap);
  ASSERT_TRUE(latin);
  EXPECT_TRUE(verify_password(*latin, "caf\xe9"));
}

}  // namespace
}  // namespace relais::directory
