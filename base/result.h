// The error type of the whole platform and the value that carries it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace relais {

/// What a peer must be told about a failure. Each protocol has one function that turns an Error into its reply.
enum class Fault : std::uint8_t {
  syntax,     ///< the peer broke the grammar:        IMAP BAD, SMTP 5xx, POP3 -ERR
  refused,    ///< valid, but the answer is no:       IMAP NO,  SMTP 5xx
  temporary,  ///< not now, try again:                IMAP NO [UNAVAILABLE], SMTP 4xx, POP3 -ERR [SYS/TEMP]
  corrupt,    ///< our own data is wrong:             IMAP NO [SERVERBUG], SMTP 4xx
  closed,     ///< the transport is gone or too slow: no reply
};

/// Name of a fault for logs: "syntax", "refused", …
std::string_view to_string(Fault fault) noexcept;

/// A failure as a value.
struct Error {
  Fault fault = Fault::temporary;
  /// The protocol's own code where one fits: an IMAP response code without brackets ("NONEXISTENT"),
  /// or an enhanced SMTP status ("5.1.1"). May be empty.
  std::string code{};
  /// May be sent to the peer: no paths, no internals, one line, US-ASCII.
  std::string text{};
  /// For the log alone.
  std::string detail{};
};

/// A T or the Error that kept it from existing. Never ignored.
template <class T>
using Result = std::expected<T, Error>;

/// Shorthand for `std::unexpected(Error{…})`, so that a return statement reads as what it says.
[[nodiscard]] std::unexpected<Error> fail(Fault fault, std::string_view text, std::string_view code = {}, std::string_view detail = {});
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

}  // namespace relais

// RELAIS_TRY(auto x, expression);    binds the value, or returns the error from a plain function.
// RELAIS_TRY_VOID(expression);       for Result<void>.
// RELAIS_CO_TRY(auto x, expression); the same inside a coroutine; the expression may hold co_await.
#define RELAIS_CAT2_(a, b) a##b
#define RELAIS_CAT_(a, b) RELAIS_CAT2_(a, b)
#define RELAIS_TRY_(tmp, lhs, ret, ...)                        \
  auto tmp = (__VA_ARGS__);                                    \
  if (!tmp) ret std::unexpected(std::move(tmp).error());       \
  lhs = std::move(tmp).value()
#define RELAIS_TRY(lhs, ...) RELAIS_TRY_(RELAIS_CAT_(relais_try_, __LINE__), lhs, return, __VA_ARGS__)
#define RELAIS_CO_TRY(lhs, ...) RELAIS_TRY_(RELAIS_CAT_(relais_try_, __LINE__), lhs, co_return, __VA_ARGS__)
#define RELAIS_TRY_VOID(...)                                                                                 \
  do {                                                                                                       \
    if (auto relais_try_result = (__VA_ARGS__); !relais_try_result)                                          \
      return std::unexpected(std::move(relais_try_result).error());                                          \
  } while (false)
#define RELAIS_CO_TRY_VOID(...)                                                                              \
  do {                                                                                                       \
    if (auto relais_try_result = (__VA_ARGS__); !relais_try_result)                                          \
      co_return std::unexpected(std::move(relais_try_result).error());                                       \
  } while (false)
