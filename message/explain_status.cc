// What enhanced status codes mean to people.
#include "message/delivery_status.h"

#include <algorithm>
#include <array>

namespace relais::message {
namespace {

constexpr std::string_view kCheckAddress = "Check the address for typing errors, or ask the recipient for the right one.";
constexpr std::string_view kCheckDomain = "Check what stands behind the @ sign for typing errors.";
constexpr std::string_view kOtherWay = "Reach the recipient in another way, or try again later.";
constexpr std::string_view kTellRecipient =
    "If the reason is not clear, tell the recipient in another way: the administrators there can help.";
constexpr std::string_view kTellAdmin = "Show this report to the administrators of your own mail server.";
constexpr std::string_view kSmaller = "Send less at once, or share large files through a link.";
constexpr std::string_view kTryLater = "Try again later. If it keeps failing, reach the recipient in another way.";

struct Row {
  std::string_view detail;  // subject and detail: RFC 3463 §3, RFC 7505 §4, RFC 6531 §4.4, RFC 8689 §6 and the IANA registry
  Explanation explanation;
};

// Sorted by `detail`.
constexpr std::array kRows{
    Row{"1.0", {"Something is wrong with the recipient's address.", kCheckAddress}},
    Row{"1.1", {"There is no mailbox with this address.", kCheckAddress}},
    Row{"1.10", {"The domain of this address says that it takes no mail.", kCheckDomain}},
    Row{"1.2", {"The domain of this address does not exist.", kCheckDomain}},
    Row{"1.3", {"The address is not written as addresses are.", kCheckAddress}},
    Row{"1.4", {"The address fits more than one recipient there.", kCheckAddress}},
    Row{"1.6", {"The recipient's mailbox has moved, and nobody said where to.", kCheckAddress}},
    Row{"1.7", {"Your own address was refused as the sender: it is not written as addresses are.", kTellAdmin}},
    Row{"1.8", {"Your own address was refused as the sender: its domain could not be found.", kTellAdmin}},
    Row{"2.0", {"Something is wrong with the recipient's mailbox.", kOtherWay}},
    Row{"2.1", {"The recipient's mailbox is switched off or takes no mail.", kOtherWay}},
    Row{"2.2", {"The recipient's mailbox is full.", kOtherWay}},
    Row{"2.3", {"The message is larger than the recipient's mailbox accepts.", kSmaller}},
    Row{"2.4", {"The mailing list could not be resolved into its members.", kTellRecipient}},
    Row{"3.0", {"The recipient's mail system has a problem.", kTryLater}},
    Row{"3.1", {"The recipient's mail system has no room left.", kTryLater}},
    Row{"3.2", {"The recipient's mail system takes no mail at present.", kTryLater}},
    Row{"3.4", {"The message is larger than the recipient's mail system accepts.", kSmaller}},
    Row{"4.0", {"The way to the recipient's mail system is disturbed.", kTryLater}},
    Row{"4.1", {"The recipient's mail server did not answer.", kTryLater}},
    Row{"4.2", {"The connection to the recipient's mail server broke.", kTryLater}},
    Row{"4.3", {"The name service could not say which server takes mail for the recipient's domain.", kTryLater}},
    Row{"4.4", {"No server could be found that takes mail for the recipient's domain.", kCheckDomain}},
    Row{"4.5", {"The recipient's mail server is too busy.", kTryLater}},
    Row{"4.6", {"The message was going round in a circle between mail servers.", kTellAdmin}},
    Row{"4.7", {"The time for delivering the message ran out.", kTryLater}},
    Row{"5.2", {"The recipient's mail server did not understand what ours said.", kTellAdmin}},
    Row{"5.3",
        {"The message has more recipients than the recipient's mail server takes at once.", "Send it to fewer recipients at a time."}},
    Row{"5.4", {"The recipient's mail server does not support what the message asked for.", kTellAdmin}},
    Row{"6.0", {"The recipient's mail server does not take this kind of content.", kTellRecipient}},
    Row{"6.1", {"The recipient's mail server does not take this kind of content.", kTellRecipient}},
    Row{"6.3", {"The message would have to be converted for the recipient's mail server, which is not possible.", kTellRecipient}},
    Row{"6.7",
        {"The message uses addresses in international letters, which the recipient's mail server does not support.",
         "Send it with addresses that use a to z only."}},
    Row{"7.0", {"The recipient's mail system refused the message by its rules.", kTellRecipient}},
    Row{"7.1", {"The recipient's mail system refused the message by its rules.", kTellRecipient}},
    Row{"7.10", {"The message had to travel encrypted, and the recipient's mail server could not promise that.", kTellRecipient}},
    Row{"7.2", {"You are not allowed to write to this mailing list.", kTellRecipient}},
    Row{"7.20", {"The signature that proves where the message came from was missing or wrong.", kTellAdmin}},
    Row{"7.21", {"The signature that proves where the message came from was missing or wrong.", kTellAdmin}},
    Row{"7.22", {"The signature that proves where the message came from was not of the sender's domain.", kTellAdmin}},
    Row{"7.23", {"The recipient's mail server thinks that ours may not send for your domain.", kTellAdmin}},
    Row{"7.24", {"The recipient's mail server could not check whether ours may send for your domain.", kTellAdmin}},
    Row{"7.25", {"The recipient's mail server does not trust the network address of ours.", kTellAdmin}},
    Row{"7.26", {"The recipient's mail server could not prove that the message came from your domain.", kTellAdmin}},
    Row{"7.27", {"Your own address was refused as the sender: its domain takes no mail.", kTellAdmin}},
    Row{"7.28", {"The recipient's mail server thinks that too much mail came at once.", kTryLater}},
    Row{"7.29", {"The recipient's mail server could not prove how the message was forwarded.", kTellAdmin}},
    Row{"7.30",
        {"You asked for encryption on the whole way, and the recipient's mail server does not support that.",
         "Send it without that demand if you may."}},
    Row{"7.5", {"The message had to travel encrypted, and no safe connection could be made.", kTryLater}},
};
static_assert(std::ranges::is_sorted(kRows, {}, &Row::detail));

constexpr Explanation of_action(DeliveryAction action) {
  switch (action) {
    case DeliveryAction::failed: return {"It could not be delivered.", kTellRecipient};
    case DeliveryAction::delayed: return {"It could not be delivered yet.", ""};
    case DeliveryAction::delivered: return {"It was put into the recipient's mailbox.", ""};
    case DeliveryAction::relayed: return {"It was handed on to a server that sends no notices of its own.", ""};
    case DeliveryAction::expanded: return {"It was passed on to the members of the list or alias, which sends no notices of its own.", ""};
  }
  return {};
}

}  // namespace

Explanation explain_status(std::string_view status, DeliveryAction action) noexcept {
  const auto general = of_action(action);
  if (status.size() < 5 || status[1] != '.' || status[0] == '2') return general;
  const auto detail = status.substr(2);
  const auto row = std::ranges::lower_bound(kRows, detail, {}, &Row::detail);
  if (row == kRows.end() || row->detail != detail) return general;
  // What comes later by itself needs no advice.
  return {row->explanation.happened, action == DeliveryAction::failed ? row->explanation.advice : std::string_view{}};
}

}  // namespace relais::message
