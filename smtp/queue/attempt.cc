// One message to another server: which host, which address, what it said, and what that means for the destination.
#include "smtp/queue/attempt.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace relais::smtp::queue {
namespace {

constexpr std::uint64_t kPiece = 256 * 1024;  // octets read from the store at a time: a chunk there

/// The queue's content as the client wants it.
class QueuedContent final : public ContentSource {
 public:
  explicit QueuedContent(Content& content) : content_(content) {}
  std::uint64_t size() const noexcept override { return content_.size(); }
  net::Task<std::string_view> next() override {
    if (at_ != 0 && at_ == piece_.size() && at_ == content_.size()) {  // all of it is here: the common, small message
      if (std::exchange(given_, true)) co_return std::string_view{};
      co_return std::string_view(piece_);
    }
    piece_.clear();
    const auto length = std::min(kPiece, content_.size() - std::min(at_, content_.size()));
    if (length == 0) co_return std::string_view{};
    RELAIS_CO_TRY_VOID(co_await content_.read(at_, length, piece_));
    if (piece_.size() != length) co_return fail(Fault::corrupt, "message is shorter than it should be");
    at_ += length;
    given_ = true;
    co_return std::string_view(piece_);
  }
  void rewind() override {
    given_ = false;
    if (at_ != piece_.size()) at_ = 0;  // else the one piece is the message
  }

 private:
  Content& content_;
  std::string piece_;
  std::uint64_t at_ = 0;  ///< octets read so far
  bool given_ = false;    ///< what is in piece_ was handed out
};

TlsNeed need_of(const Dispatch& dispatch) {
  if (dispatch.require_tls && !dispatch.sender.empty()) return TlsNeed::required;  // RFC 8689 §4.2.1
  return dispatch.optional_tls ? TlsNeed::optional : TlsNeed::usual;
}

RecipientOutcome outcome_of(const Verdict& verdict, const std::string& host, Disposition taken) {
  RecipientOutcome out;
  switch (verdict.disposition) {
    case smtp::Disposition::delivered: out.disposition = taken; break;
    case smtp::Disposition::permanent: out.disposition = Disposition::permanent; break;
    case smtp::Disposition::temporary: out.disposition = Disposition::temporary; break;
  }
  out.code = verdict.reply.code;
  out.status = verdict.status;
  out.remote = verdict.reply.code != 0;
  out.text = out.remote ? verdict.reply.line() : verdict.text;
  out.host = host;
  return out;
}

/// Everybody alike, for a reason of ours.
void decide(std::vector<RecipientOutcome>& recipients, Disposition disposition, std::string_view status, std::string_view text) {
  for (auto& one : recipients)
    one = {.disposition = disposition, .code = 0, .status = std::string(status), .text = std::string(text), .host = {}, .remote = false};
}

class RemoteLane final : public Lane {
 public:
  RemoteLane(std::shared_ptr<const Dialer> dialer, const Clock& clock, std::string destination, net::Loop& loop)
      : dialer_(std::move(dialer)), clock_(clock), destination_(std::move(destination)), loop_(loop) {}

  net::asio::awaitable<Outcome> send(const Dispatch& dispatch) override {
    Outcome outcome;
    outcome.recipients.resize(dispatch.recipients.size());
    Work work{.dispatch = dispatch, .content = QueuedContent(*dispatch.content), .need = need_of(dispatch), .outcome = outcome, .open = {}};
    for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) work.open.push_back(i);
    // A connection serves the messages that want the same of TLS.
    if (client_ && (!client_->usable() || need_ != work.need)) co_await close();
    if (client_) {
      co_await transact(work);
      if (work.open.size() == dispatch.recipients.size()) {
        // A connection that has served others and ends now ("421 enough for one connection") is nobody's trouble: take another one.
        outcome = Outcome{};
        outcome.recipients.resize(dispatch.recipients.size());
        work.heard = false;
      }
    }
    if (!work.open.empty() && !work.heard) co_await find_hosts(work);
    co_return outcome;
  }

  net::asio::awaitable<void> close() override {
    if (client_ && client_->usable()) co_await client_->quit();
    client_.reset();
  }

 private:
  /// One dispatch on its way through the hosts.
  struct Work {
    const Dispatch& dispatch;
    QueuedContent content;
    TlsNeed need;
    Outcome& outcome;
    std::vector<std::size_t> open;  ///< recipients for whom another host may be tried
    bool heard = false;             ///< a host has said something about the message: the search ends, but for `open`
    bool unfit = false;             ///< a host was reached that lacks what the message asks for
    std::size_t tried = 0;          ///< addresses
  };

  static void set_trouble(Work& work, Health health, std::string trouble) {
    if (work.outcome.health == Health::good || health == Health::unreachable) work.outcome.health = health;
    work.outcome.trouble = std::move(trouble);
    work.outcome.open = false;
  }

  net::asio::awaitable<void> find_hosts(Work& work) {
    const auto parsed = parse_destination(destination_);
    auto hop = parsed ? next_hop(dialer_->legacy, *parsed) : fail(parsed.error());
    if (!hop) {
      decide(work.outcome.recipients, Disposition::temporary, hop.error().code.empty() ? "4.3.5" : hop.error().code, hop.error().text);
      set_trouble(work, Health::unreachable, hop.error().text);
      co_return;
    }
    const bool domain = hop->destination.kind == Destination::Kind::mx;
    const auto list = co_await dialer_->outbound.hosts(std::move(hop->destination), work.need, std::move(hop->rule));
    if (!list) {
      const auto& error = list.error();
      const auto why = error.detail.empty() ? error.text : error.text + ": " + error.detail;
      // What the DNS says of a domain is final; what it says of a next hop that an administrator chose is a slip that must not cost mail.
      const bool never = error.fault == Fault::refused && (domain || work.need == TlsNeed::required);
      decide(work.outcome.recipients, never ? Disposition::permanent : Disposition::temporary,
             !error.code.empty() ? error.code
             : never             ? std::string("5.4.4")
                                 : std::string("4.4.3"),
             why);
      if (!never && work.need != TlsNeed::required) set_trouble(work, Health::unreachable, why);
      co_return;
    }
    co_await try_hosts(work, *list, domain);
  }

  net::asio::awaitable<void> try_hosts(Work& work, const HostList& list, bool domain) {
    std::optional<Verdict> last;
    std::string last_host;
    bool all_refuse_mail = domain;
    bool reached = false;
    for (const auto& host : list.hosts) {
      for (const auto& address : host.addresses) {
        if (work.open.empty() || work.tried >= dialer_->max_addresses) break;
        ++work.tried;
        auto failure = co_await connect(work.need, host, address);
        if (failure) {
          all_refuse_mail = all_refuse_mail && failure->disposition == smtp::Disposition::permanent;
          last = std::move(failure);
          last_host = host_text(host, address);
          continue;
        }
        reached = true;
        co_await transact(work);
        if (work.heard) break;
      }
      if (work.heard && work.open.empty()) co_return;
      work.heard = false;
    }
    if (work.open.empty()) co_return;
    if (!last) co_return;  // hosts were reached, and those that were left have their verdicts
    work.outcome.begun = reached || work.open.size() != work.dispatch.recipients.size();
    for (const auto i : work.open) {
      auto& one = work.outcome.recipients[i];
      // A host that could not be asked may have what this one lacks.
      if (work.unfit && one.code == 0 && one.disposition == Disposition::permanent && last->disposition == smtp::Disposition::temporary) {
        one.disposition = Disposition::temporary;
        one.status.replace(0, 1, "4");
      }
      if (one.code != 0 || !one.text.empty()) continue;  // an earlier host's words tell more
      one = outcome_of(*last, last_host, Disposition::relayed);
      // RFC 5321 §5.1: a domain all of whose hosts say for good that they take no mail; one of them may just be wrong about itself.
      if (!all_refuse_mail && one.disposition == Disposition::permanent) {
        one.disposition = Disposition::temporary;
        one.status = "4.4.1";
      }
    }
    // REQUIRETLS that no host can honour now concerns this message alone.
    const bool own_trouble =
        work.unfit || (work.need == TlsNeed::required && (last->stage == Stage::starttls || last->stage == Stage::tls));
    if (!all_refuse_mail && !own_trouble && work.open.size() == work.dispatch.recipients.size()) {
      set_trouble(work, work.outcome.health == Health::good ? Health::unreachable : work.outcome.health, last_host + ": " + last->line());
    }
  }

  /// @return why there is no connection
  net::asio::awaitable<std::optional<Verdict>> connect(TlsNeed need, const Host& host, const std::string& address) {
    co_await close();  // of a host that lacks something: RFC 8689 §4.2.1 wants a QUIT
    auto connected = co_await connect_to(*dialer_, destination_, host, address, loop_);
    if (!connected.client) co_return std::move(connected.failure);
    client_ = std::move(connected.client);
    host_ = host_text(host, address);
    lmtp_ = host.lmtp;
    need_ = need;
    co_return std::nullopt;
  }

  /// Sends to those that are open, on the connection that there is.
  net::asio::awaitable<void> transact(Work& work) {
    const auto& dispatch = work.dispatch;
    OutboundMessage message;
    message.sender = dispatch.sender;
    for (const auto i : work.open) {
      const auto& to = dispatch.recipients[i];
      message.recipients.push_back({to.address, to.notify, to.original});
    }
    message.content = &work.content;
    message.body = dispatch.binary ? Body::binary : dispatch.eight_bit ? Body::eight_bit : Body::seven_bit;
    message.smtputf8 = dispatch.smtputf8;
    message.require_tls = dispatch.require_tls;
    message.ret = dispatch.ret;
    message.envelope_id = dispatch.envelope_id;
    if (dispatch.priority != 0) message.priority = dispatch.priority;
    if (dispatch.by_mode != ByMode::none) {
      const auto left = std::clamp<std::int64_t>(dispatch.deliver_by - clock_.seconds(), -999'999'999, 999'999'999);
      const bool give_up = dispatch.by_mode == ByMode::give_up;
      message.deliver_by = DeliverBy{.seconds = static_cast<std::int32_t>(give_up ? std::max<std::int64_t>(1, left) : left),
                                     .give_up = give_up,
                                     .trace = dispatch.by_trace};
    }
    work.content.rewind();
    const auto said = co_await client_->send(message);
    if (!said.usable) client_.reset();
    if (said.stale) co_return;
    work.heard = true;
    if (message.deliver_by && !said.deliver_by_passed) work.outcome.by_dropped = true;
    std::vector<std::size_t> rest;
    bool answered = false;
    const auto taken = said.dsn_passed ? Disposition::relayed : lmtp_ ? Disposition::delivered : Disposition::relayed_without_dsn;
    for (std::size_t k = 0; k < work.open.size(); ++k) {
      const auto& verdict = said.recipients[k];
      work.outcome.recipients[work.open[k]] = outcome_of(verdict, host_, taken);
      const bool unfit =
          verdict.scope == Scope::host && verdict.stage == Stage::local && verdict.disposition == smtp::Disposition::permanent;
      work.unfit = work.unfit || unfit;
      answered = answered || verdict.scope != Scope::host;
      // Another host may do better where this one has trouble, unless it may have the message already.
      if (unfit || (verdict.scope == Scope::host && verdict.disposition == smtp::Disposition::temporary && !verdict.uncertain))
        rest.push_back(work.open[k]);
    }
    work.open = std::move(rest);
    if (answered) {
      work.outcome.health = Health::good;
      work.outcome.open = true;
      work.outcome.trouble.clear();
    }
    if (said.host_trouble) set_trouble(work, Health::busy, host_ + ": " + said.recipients.back().line());
  }

  const std::shared_ptr<const Dialer> dialer_;
  const Clock& clock_;
  const std::string destination_;
  net::Loop& loop_;
  std::unique_ptr<Client> client_;
  std::string host_;
  bool lmtp_ = false;
  TlsNeed need_ = TlsNeed::usual;
};

}  // namespace

std::unique_ptr<Lane> RemoteTransport::lane(const std::string& destination, net::Loop& loop) {
  return std::make_unique<RemoteLane>(dialer_, clock_, destination, loop);
}

}  // namespace relais::smtp::queue
