// Sources, a target, and the mirror between them.
#include "migrate/move_ends.h"

#include "base/check.h"

namespace relais::migrate {
namespace {

class MirroredEnds final : public MoveEnds {
 public:
  MirroredEnds(std::vector<std::unique_ptr<Source>> sources, std::unique_ptr<Target> target)
      : sources_(std::move(sources)), target_(std::move(target)) {
    RELAIS_CHECK(!sources_.empty() && target_ != nullptr);
  }

  net::Task<SourceListing> list() override { co_return co_await sources_.front()->list(); }

  net::Task<PassFigures> pass(Cursors& cursors, const MirrorRules& rules, const MirrorEvents& events) override {
    std::vector<Source*> sources;
    for (const auto& source : sources_) sources.push_back(source.get());
    co_return co_await mirror_pass(std::move(sources), *target_, cursors, rules, events);
  }

  net::Task<std::vector<Finding>> verify(VerifyRules rules) override {
    co_return co_await migrate::verify(*sources_.front(), *target_, std::move(rules));
  }

  net::asio::awaitable<void> close() override {
    for (const auto& source : sources_) co_await source->close();
  }

 private:
  const std::vector<std::unique_ptr<Source>> sources_;
  const std::unique_ptr<Target> target_;
};

}  // namespace

std::unique_ptr<MoveEnds> make_move_ends(std::vector<std::unique_ptr<Source>> sources, std::unique_ptr<Target> target) {
  return std::make_unique<MirroredEnds>(std::move(sources), std::move(target));
}

}  // namespace relais::migrate
