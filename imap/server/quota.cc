// GETQUOTA and GETQUOTAROOT: one quota root, "", for all of an account's mailboxes.
#include "imap/server/quota.h"

#include "base/ascii.h"
#include "imap/proto/mailbox_args.h"
#include "imap/proto/quota.h"
#include "imap/proto/write.h"

namespace relais::imap {
namespace {

// RFC 9208 §5: STORAGE counts units of 1,024 octets. Rounded up, so that what is used is never told as nothing.
void append_quota(std::string& out, const storage::QuotaUsage& usage) {
  constexpr auto kilo = [](std::uint64_t octets) { return octets / 1024 + (octets % 1024 != 0 ? 1 : 0); };
  out += "* QUOTA \"\" (";
  if (usage.octets_limit != 0) {
    out += "STORAGE ";
    append_number(out, kilo(usage.octets));
    out += ' ';
    append_number(out, kilo(usage.octets_limit));
  }
  if (usage.messages_limit != 0) {
    out += usage.octets_limit != 0 ? " MESSAGE " : "MESSAGE ";
    append_number(out, usage.messages);
    out += ' ';
    append_number(out, usage.messages_limit);
  }
  out += ")\r\n";
}

}  // namespace

net::Task<Done> get_quota(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_get_quota(command.rest, session.dialect()));
  if (!args.root.empty()) co_return fail(Fault::refused, "no such quota root", "NONEXISTENT");
  RELAIS_CO_TRY(const auto usage, co_await session.store().quota(session.account()));
  append_quota(session.out(), usage);
  co_return Done{"GETQUOTA completed"};
}

// RFC 9208 §4.1.2: the mailbox need not exist.
net::Task<Done> get_quota_root(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_mailbox(command.rest, session.dialect()));
  RELAIS_CO_TRY_VOID(session.stored_name(args.mailbox));
  RELAIS_CO_TRY(const auto usage, co_await session.store().quota(session.account()));
  auto& out = session.out();
  out += "* QUOTAROOT ";
  append_mailbox(out, args.mailbox, session.dialect());
  const bool limited = usage.octets_limit != 0 || usage.messages_limit != 0;
  out += limited ? " \"\"\r\n" : "\r\n";
  if (limited) append_quota(out, usage);
  co_return Done{"GETQUOTAROOT completed"};
}

}  // namespace relais::imap
