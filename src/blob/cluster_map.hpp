// ClusterMap: where the clusters of a blob lie.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "blob/format/metadata_page.hpp"

namespace spdkio::blob {

/// From the index of a cluster in the blob to its number on the device; 0: not allocated. Any Thread looks up, without
/// locks, while the store's Thread changes it. Memory is taken for what is allocated, in three levels of 512 entries:
/// a thin blob of any size costs nothing before it is written.
class ClusterMap {
 public:
  ClusterMap() = default;
  ClusterMap(const ClusterMap&) = delete;
  ClusterMap& operator=(const ClusterMap&) = delete;

  // ---- any Thread
  std::uint64_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  std::uint32_t find(std::uint64_t index) const noexcept {
    const Top* top = top_.load(std::memory_order_acquire);
    const std::uint64_t at = index >> 18;
    if (top == nullptr || at >= top->size()) return 0;
    const Middle* middle = (*top)[at].load(std::memory_order_acquire);
    if (middle == nullptr) return 0;
    const Leaf* leaf = middle->leaves[index >> 9 & 511].load(std::memory_order_acquire);
    return leaf == nullptr ? 0 : leaf->clusters[index & 511].load(std::memory_order_acquire);
  }

  // ---- the store's Thread
  /// What lies beyond the new size keeps its entries until they are set to 0.
  void set_size(std::uint64_t clusters) noexcept { size_.store(clusters, std::memory_order_release); }
  void set(std::uint64_t index, std::uint32_t cluster) {
    std::atomic<std::uint32_t>* entry = cluster == 0 ? existing(index) : &made(index);
    if (entry == nullptr) return;
    const std::uint32_t before = entry->exchange(cluster, std::memory_order_acq_rel);
    allocated_ += static_cast<std::uint64_t>(cluster != 0) - static_cast<std::uint64_t>(before != 0);
  }
  std::uint64_t allocated() const noexcept { return allocated_; }

  /// Calls `visit(index, cluster)` for the allocated ones in [first, end), in order.
  template <class Visit>
  void for_each_allocated(std::uint64_t first, std::uint64_t end, Visit&& visit) const {
    const Top* top = top_.load(std::memory_order_relaxed);
    if (top == nullptr) return;
    for (std::uint64_t index = first; index < end;) {
      if (index >> 18 >= top->size()) return;
      const Middle* middle = (*top)[index >> 18].load(std::memory_order_relaxed);
      if (middle == nullptr) {
        index = ((index >> 18) + 1) << 18;
        continue;
      }
      const Leaf* leaf = middle->leaves[index >> 9 & 511].load(std::memory_order_relaxed);
      const std::uint64_t leaf_end = ((index >> 9) + 1) << 9;
      if (leaf == nullptr) {
        index = leaf_end;
        continue;
      }
      for (; index < leaf_end && index < end; ++index) {
        const std::uint32_t cluster = leaf->clusters[index & 511].load(std::memory_order_relaxed);
        if (cluster != 0) visit(index, cluster);
      }
    }
  }
  /// The first index in [from, end) that is allocated; `end` when there is none.
  std::uint64_t next_allocated(std::uint64_t from, std::uint64_t end) const noexcept;

 private:
  struct Leaf {
    std::array<std::atomic<std::uint32_t>, 512> clusters{};
  };
  struct Middle {
    std::array<std::atomic<Leaf*>, 512> leaves{};
    ~Middle() {
      for (auto& leaf : leaves) delete leaf.load(std::memory_order_relaxed);
    }
  };
  using Top = std::vector<std::atomic<Middle*>>;

  std::atomic<std::uint32_t>* existing(std::uint64_t index) const noexcept;
  std::atomic<std::uint32_t>& made(std::uint64_t index);

  std::atomic<std::uint64_t> size_{0};
  std::atomic<const Top*> top_{nullptr};
  /// The newest is in use; the others may still be read by another Thread, and stay: each is at least twice as long as
  /// the one before.
  std::vector<std::unique_ptr<Top>> tops_;
  std::vector<std::unique_ptr<Middle>> middles_;
  std::uint64_t allocated_ = 0;
};

static_assert(format::clusters_per_extent == 512);

}  // namespace spdkio::blob
