#include "nvme/pcie/iova_allocator.hpp"

#include <algorithm>
#include <iterator>

namespace spdkio::nvme::pcie {
namespace {

constexpr std::uint64_t page = 4096;

}  // namespace

IovaAllocator::IovaAllocator(std::span<const IovaWindow> windows, std::uint64_t last_address) {
  for (const IovaWindow& window : windows) {
    const std::uint64_t first = std::max((window.first + page - 1) / page * page, page);
    const std::uint64_t last = std::min(window.last, last_address);
    // The end of the last page may be the end of all numbers: count pages, not addresses.
    const std::uint64_t end_page = last / page + (last % page == page - 1 ? 1 : 0);
    if (first / page < end_page) free_.emplace(first, (end_page - first / page) * page);
  }
}

std::optional<std::uint64_t> IovaAllocator::allocate(std::uint64_t size, std::uint64_t alignment) {
  for (auto entry = free_.begin(); entry != free_.end(); ++entry) {
    const auto [start, length] = *entry;
    const std::uint64_t skip = (alignment - start % alignment) % alignment;
    if (length < skip || length - skip < size) continue;
    const std::uint64_t rest = length - skip - size;
    if (rest != 0) free_.emplace(start + skip + size, rest);
    if (skip == 0) {
      free_.erase(entry);
    } else {
      entry->second = skip;
    }
    return start + skip;
  }
  return std::nullopt;
}

void IovaAllocator::free(std::uint64_t start, std::uint64_t size) noexcept {
  const auto above = free_.lower_bound(start);
  if (above != free_.begin()) {
    const auto below = std::prev(above);
    if (below->first + below->second == start) {
      below->second += size;
      if (above != free_.end() && above->first == start + size) {
        below->second += above->second;
        free_.erase(above);
      }
      return;
    }
  }
  if (above != free_.end() && above->first == start + size) {
    auto node = free_.extract(above);
    node.key() = start;
    node.mapped() += size;
    free_.insert(std::move(node));
    return;
  }
  // Without memory for the note these addresses are not used again, which is better than ending the program.
  try {
    free_.emplace(start, size);
  } catch (...) {
  }
}

}  // namespace spdkio::nvme::pcie
