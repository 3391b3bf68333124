// Content that lies in memory.
#include "smtp/client/content.h"

namespace relais::smtp {

MemoryContent::MemoryContent(std::vector<std::string_view> pieces) : pieces_(std::move(pieces)) {
  std::erase_if(pieces_, [](std::string_view piece) { return piece.empty(); });  // an empty one would mean the end
  for (const auto piece : pieces_) size_ += piece.size();
}

net::Task<std::string_view> MemoryContent::next() { co_return next_ < pieces_.size() ? pieces_[next_++] : std::string_view{}; }

}  // namespace relais::smtp
