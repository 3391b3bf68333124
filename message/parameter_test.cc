// Parameters of Content-Type and Content-Disposition.
#include <gtest/gtest.h>

#include "message/mime.h"

namespace relais::message {
namespace {

std::string show(std::string_view field) {
  const auto parsed = parse_parameterized(field);
  std::string out = parsed.value;
  for (const auto& [name, value] : parsed.parameters) out += "|" + name + "=" + value;
  return out;
}

TEST(Parameters, WellFormed) {
  EXPECT_EQ(show(" Text/Plain; charset=UTF-8;\r\n\tFormat=\"flowed\" "), "text/plain|charset=UTF-8|format=flowed");
  EXPECT_EQ(show("attachment; filename=\"a \\\"b\\\"; c.txt\""), "attachment|filename=a \"b\"; c.txt");
  EXPECT_EQ(show("text/plain (c) ; (d) charset (e) = (f) us-ascii (g (h))"), "text/plain|charset=us-ascii");
  EXPECT_EQ(show("inline"), "inline");
}

TEST(Parameters, AsRealMailHasThem) {
  EXPECT_EQ(show("text/plain charset=utf-8"), "text/plain|charset=utf-8");
  EXPECT_EQ(show("text/plain; charset=utf-8 format=flowed"), "text/plain|charset=utf-8|format=flowed");
  EXPECT_EQ(show("application/pdf; name=my file (1).pdf; x=y"), "application/pdf|name=my file .pdf|x=y");
  EXPECT_EQ(show("multipart/mixed; boundary=----=_Part_1.2=x"), "multipart/mixed|boundary=----=_Part_1.2=x");
  EXPECT_EQ(show("text/plain;;; ; charset=\"utf-8"), "text/plain|charset=utf-8");
  EXPECT_EQ(show("text/plain; charset"), "text/plain");
  EXPECT_EQ(show("text/plain; charset="), "text/plain|charset=");
  EXPECT_EQ(show("; name=x"), "|name=x");
  EXPECT_EQ(show("text/; name=x"), "|name=x");
  EXPECT_EQ(show("image/png; name=\"a\r\n b\""), "image/png|name=a b");
  EXPECT_EQ(show("image/png; name=\xe4.png"), "image/png|name=\xe4.png");
  EXPECT_EQ(show(""), "");
}

// RFC 2231 §3, §4 and §6
TEST(Parameters, Continuations) {
  EXPECT_EQ(show("a/b; url*0=\"http://\"; url*1=\"x.example/\""), "a/b|url=http://x.example/");
  EXPECT_EQ(show("a/b; n*1=b; n*0=a; x=y; n*2=c"), "a/b|n=abc|x=y");
  EXPECT_EQ(show("a/b; n*0*=us-ascii'en'a%20; n*1*=%2Ab; n*2=\"c'!\""), "a/b|n*=us-ascii'en'a%20%2Abc%27!");
  EXPECT_EQ(show("a/b; n*=utf-8''%e2%82%ac"), "a/b|n*=utf-8''%e2%82%ac");
  EXPECT_EQ(show("a/b; n*0=a; n*2=c"), "a/b|n=a|n*2=c");
  EXPECT_EQ(show("a/b; n*1=b"), "a/b|n*1=b");
  EXPECT_EQ(show("a/b; n*0=a; n*0=z; n*1=b"), "a/b|n=a|n*0=z|n*1=b");
  EXPECT_EQ(show("a/b; n*00=a; n*x=b; *0=c"), "a/b|n*00=a|n*x=b|*0=c");
}

TEST(Parameters, Decoded) {
  EXPECT_EQ(decoded_parameter(parse_parameterized("a; filename*0*=iso-8859-1''%e4; filename*1=b"), "filename"), "äb");
  EXPECT_EQ(decoded_parameter(parse_parameterized("a; filename=x; filename*=utf-8''%c3%a4"), "filename"), "ä");
  EXPECT_EQ(decoded_parameter(parse_parameterized("a; filename=\"=?utf-8?q?=C3=A4?=\""), "filename"), "ä");
  EXPECT_EQ(decoded_parameter(parse_parameterized("a; filename*=x-nothing''a"), "filename"), "x-nothing''a");
  EXPECT_EQ(decoded_parameter(parse_parameterized("a; filename=x"), "name"), std::nullopt);
}

}  // namespace
}  // namespace relais::message
