#include "blob/cluster_map.hpp"

#include <algorithm>

namespace spdkio::blob {

std::atomic<std::uint32_t>* ClusterMap::existing(std::uint64_t index) const noexcept {
  if (tops_.empty() || index >> 18 >= tops_.back()->size()) return nullptr;
  Middle* middle = (*tops_.back())[index >> 18].load(std::memory_order_relaxed);
  if (middle == nullptr) return nullptr;
  Leaf* leaf = middle->leaves[index >> 9 & 511].load(std::memory_order_relaxed);
  return leaf == nullptr ? nullptr : &leaf->clusters[index & 511];
}

std::atomic<std::uint32_t>& ClusterMap::made(std::uint64_t index) {
  const std::size_t at = index >> 18;
  if (tops_.empty() || at >= tops_.back()->size()) {
    const std::size_t size = std::max(at + 1, tops_.empty() ? 1 : 2 * tops_.back()->size());
    auto larger = std::make_unique<Top>(size);
    for (std::size_t i = 0; !tops_.empty() && i < tops_.back()->size(); ++i) {
      (*larger)[i].store((*tops_.back())[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    tops_.push_back(std::move(larger));
    top_.store(tops_.back().get(), std::memory_order_release);
  }
  std::atomic<Middle*>& middle = (*tops_.back())[at];
  if (middle.load(std::memory_order_relaxed) == nullptr) {
    middles_.push_back(std::make_unique<Middle>());
    middle.store(middles_.back().get(), std::memory_order_release);
  }
  std::atomic<Leaf*>& leaf = middle.load(std::memory_order_relaxed)->leaves[index >> 9 & 511];
  if (leaf.load(std::memory_order_relaxed) == nullptr) leaf.store(new Leaf, std::memory_order_release);
  return leaf.load(std::memory_order_relaxed)->clusters[index & 511];
}

std::uint64_t ClusterMap::next_allocated(std::uint64_t from, std::uint64_t end) const noexcept {
  // In steps of whole levels where nothing was ever allocated.
  const Top* top = top_.load(std::memory_order_acquire);
  while (from < end) {
    if (top == nullptr || from >> 18 >= top->size()) return end;
    const Middle* middle = (*top)[from >> 18].load(std::memory_order_acquire);
    if (middle == nullptr) {
      from = ((from >> 18) + 1) << 18;
      continue;
    }
    if (middle->leaves[from >> 9 & 511].load(std::memory_order_acquire) == nullptr) {
      from = ((from >> 9) + 1) << 9;
      continue;
    }
    if (find(from) != 0) return from;
    ++from;
  }
  return end;
}

}  // namespace spdkio::blob
