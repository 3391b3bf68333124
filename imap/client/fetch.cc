// FETCH: messages that come in.
#include "imap/client/session.h"

namespace relais::imap {

// RFC 9051 §6.4.5, RFC 7162 §3.1.4
net::Task<void> Client::fetch(bool uid, std::string sequence, std::string items, std::string modifiers, FetchReceiver& receiver) {
  ClientTaker taker;
  taker.receiver = &receiver;
  auto text = impl_->command();
  text.text(uid ? "UID FETCH " : "FETCH ").text(sequence).text(" ").text(items);
  if (!modifiers.empty()) text.text(" ").text(modifiers);
  RELAIS_CO_TRY_VOID(co_await impl_->ok("FETCH", std::move(text), taker));
  co_return Result<void>{};
}

net::Task<void> Client::uid_fetch(NumberSet uids, std::string items, std::string modifiers, FetchReceiver& receiver) {
  for (const auto& set : set_texts(uids)) RELAIS_CO_TRY_VOID(co_await fetch(true, set, items, modifiers, receiver));
  co_return Result<void>{};
}

}  // namespace relais::imap
