// Reads an account's inventory; see inventory.h.
#include "migrate/inventory.h"

#include <chrono>
#include <map>
#include <utility>

namespace relais::migrate {
namespace {

using Clock = std::chrono::steady_clock;

/// Counts octets and holds them against what the source said before.
class Sampler final : public MessageReceiver {
 public:
  Sampler(std::string mailbox, std::vector<Finding>& findings) : mailbox_(std::move(mailbox)), findings_(findings) {}

  net::Task<void> take(Message message) override {
    ++messages;
    octets += message.octets.size();
    if (message.about.size.value_or(0) != 0 && *message.about.size != message.octets.size()) {
      add("size-wrong", Weight::amber, message.about.uid, "the server tells another size of it than it has");
      findings_.back().source_value = std::to_string(*message.about.size);
      findings_.back().target_value = std::to_string(message.octets.size());
    }
    co_return Result<void>{};
  }
  net::Task<void> unreadable(Uid uid, Error why) override {
    add("unreadable", Weight::red, uid, "the server cannot give it: " + (why.detail.empty() ? why.text : why.detail));
    co_return Result<void>{};
  }

  std::uint64_t messages = 0;
  std::uint64_t octets = 0;

 private:
  void add(std::string code, Weight weight, Uid uid, std::string text) {
    findings_.push_back({.code = std::move(code), .weight = weight, .mailbox = mailbox_, .uid = uid, .text = std::move(text)});
  }

  const std::string mailbox_;
  std::vector<Finding>& findings_;
};

/// An error that is about one mailbox, while the session goes on.
bool is_of_a_mailbox(const Error& error) { return error.fault == Fault::refused || error.fault == Fault::corrupt; }

net::Task<void> read_sample(Source& source, const SourceMailbox& mailbox, NumberSet uids, AccountInventory& out) {
  if (uids.empty()) co_return Result<void>{};
  Sampler sampler(mailbox.name, out.findings);
  const auto began = Clock::now();
  auto read = co_await source.messages(mailbox, std::move(uids), sampler);
  const auto took = Clock::now() - began;
  if (!read && is_of_a_mailbox(read.error())) co_return Result<void>{};  // gone, or made anew meanwhile
  RELAIS_CO_TRY_VOID(std::move(read));
  if (sampler.messages > 0) out.cost.add(sampler.messages, sampler.octets, took - source.round_trip());
  co_return Result<void>{};
}

}  // namespace

net::Task<std::unique_ptr<Source>> open_as_master(directory::LegacyHosts& hosts, directory::LegacyPlatform platform, std::string user,
                                                  net::Loop& loop) {
  if (!platform.imap.configured()) co_return fail(Fault::refused, "the platform has no IMAP", "CANNOT");
  imap::ClientOptions options;
  RELAIS_CO_TRY(options.login, master_login(platform, user));
  RELAIS_CO_TRY(auto reach, co_await hosts.find(platform, platform.imap));
  options.service = platform.imap;
  options.addresses = std::move(reach.addresses);
  options.tls = std::move(reach.tls);
  options.forward = platform.forward;
  // A PROXY header has to be there where the platform expects one; it tells of ourselves.
  if (options.forward != directory::ForwardAddress::none) options.on_behalf_of = net::Endpoints{"127.0.0.1", 0, "127.0.0.1", 0};
  options.plaintext_allowed = platform.imap.tls == directory::LegacyService::Tls::none;
  co_return co_await open_imap_source(loop, std::move(options));
}

net::Task<AccountInventory> take_inventory(Source& source, std::int64_t now) {
  AccountInventory out;
  out.traits = source.traits();
  RELAIS_CO_TRY(out.listing, co_await source.list());
  const SourceMailbox* fullest = nullptr;
  std::uint64_t most = 0;
  Sample sample;
  Clock::duration read_in{0};
  for (const auto& mailbox : out.listing.mailboxes) {
    if (!mailbox.selectable || mailbox.state.uid_validity == 0) continue;
    const auto began = Clock::now();
    auto messages = co_await source.everything(mailbox);
    if (!messages && is_of_a_mailbox(messages.error())) {
      const auto& error = messages.error();
      if (error.code == "NONEXISTENT") continue;  // its user has just removed it
      out.findings.push_back({.code = "mailbox-unreadable",
                              .weight = Weight::red,
                              .mailbox = mailbox.name,
                              .text = error.detail.empty() ? error.text : error.text + ": " + error.detail});
      continue;
    }
    RELAIS_CO_TRY(const auto all, std::move(messages));
    read_in += Clock::now() - began;
    out.counts.push_back(count_mailbox(mailbox.name, all, now));
    if (all.size() <= most) continue;
    most = all.size();
    fullest = &mailbox;
    sample = choose_sample(all);
  }
  if (fullest != nullptr) {
    RELAIS_CO_TRY_VOID(co_await read_sample(source, *fullest, std::move(sample.small), out));
    RELAIS_CO_TRY_VOID(co_await read_sample(source, *fullest, std::move(sample.large), out));
  }
  out.read_in = std::chrono::ceil<std::chrono::milliseconds>(read_in);
  RELAIS_CO_TRY(out.extras, co_await source.extras(out.listing));
  const auto began = Clock::now();
  RELAIS_CO_TRY(const auto again, co_await source.list());
  out.listed_in = std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - began);
  out.round_trip = source.round_trip();
  co_return out;
}

}  // namespace relais::migrate
