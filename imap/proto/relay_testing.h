// Plays a relayed conversation through a RelayView, as a pump would: for its tests and its fuzz target.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "imap/proto/relay_view.h"

namespace relais::imap::testing {

/// What the view would tell a session elsewhere, as a line: "selected INBOX 3 of 7 condstore", "none", "obstacle: …".
inline std::string described(const RelayView& view) {
  if (!view.obstacle().empty()) return "obstacle: " + std::string(view.obstacle());
  const auto& state = view.state();
  std::string out = "none";
  if (state.mailbox == RelayedState::Mailbox::selected) {
    out = "selected" + state.select + " " + std::to_string(state.uid_validity) + "/" + std::to_string(state.exists);
    out += state.read_only ? " read-only" : "";
    out += state.utf8 ? " utf8" : "";
  }
  out += state.condstore ? " condstore" : "";
  out += state.qresync ? " qresync" : "";
  out += state.utf8_accept ? " utf8=accept" : "";
  return out += state.rev2 ? " rev2" : "";
}

class RelayWire {
 public:
  explicit RelayWire(RelayView view) : view_(std::move(view)) {}

  void client(std::string_view octets, std::size_t piece = std::string_view::npos) { feed(client_, octets, piece); }
  void server(std::string_view octets, std::size_t piece = std::string_view::npos) { feed(server_, octets, piece); }
  /// What has arrived there since the last call.
  std::string at_server() { return std::exchange(client_.passed, {}); }
  std::string at_client() { return std::exchange(server_.passed, {}); }
  void hold(bool on) {
    view_.hold_at_boundary(on);
    if (!on) client_.held = server_.held = false;
    run();
  }
  bool both_held() const { return client_.held && server_.held; }
  const RelayView& view() const { return view_; }
  std::uint64_t unseen = 0;  ///< octets that were announced as such, in all

 private:
  struct Way {
    std::string waiting;
    std::string passed;
    std::uint64_t unseen = 0;
    bool held = false;
  };

  void feed(Way& way, std::string_view octets, std::size_t piece) {
    for (std::size_t at = 0; at < octets.size(); at += std::min(piece, octets.size())) {
      way.waiting.append(octets.substr(at, piece));
      run();
      if (piece >= octets.size()) break;
    }
  }
  void run() {
    while (step(client_) || step(server_)) {
    }
  }
  // True where something has moved.
  bool step(Way& way) {
    if (way.unseen > 0 && !way.waiting.empty()) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(way.unseen, way.waiting.size()));
      way.passed.append(way.waiting, 0, n);
      way.waiting.erase(0, n);
      way.unseen -= n;
      return true;
    }
    if (&way == &client_ && view_.client_may_go_on()) way.held = false;  // asked again; says hold again where it must
    if (way.held || way.unseen > 0) return false;
    const std::string octets = way.waiting;  // of its own, so that a read past it is seen
    const auto step = &way == &client_ ? view_.from_client(octets) : view_.from_server(octets);
    RELAIS_CHECK(step.pass <= octets.size() && step.drop <= octets.size() - step.pass);
    way.passed.append(octets, 0, step.pass).append(step.instead);
    way.waiting.erase(0, step.pass + step.drop);
    way.unseen = step.unseen;
    unseen += step.unseen;
    way.held = step.hold;
    return step.pass + step.drop > 0 || !step.instead.empty() || step.unseen > 0;
  }
  RelayView view_;
  Way client_;
  Way server_;
};

}  // namespace relais::imap::testing
