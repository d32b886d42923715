// What runs of pages are used for: cut into blocks of one size, or as a whole. Found by address.
#pragma once

#include <spdkio/engine/memory.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine_embedded/memory/page_map.hpp"
#include "engine_embedded/memory/reserve.hpp"
#include "engine_embedded/memory/size_classes.hpp"

namespace spdkio::embedded {

/// A block as caches keep it: where it is, and the mark that says whether somebody has it.
struct Block {
  std::byte* memory = nullptr;
  std::atomic<bool>* taken = nullptr;
};

/// A run of pages in use. Lives as long as the store and is used again for the same kind of run.
struct Extent {
  Chunk* chunk = nullptr;
  std::byte* base = nullptr;
  std::uint32_t pages = 0;

  // Of slabs; the class is block_class_count for a run that is one allocation.
  unsigned block_class = block_class_count;
  std::uint32_t block_bytes = 0;
  std::uint32_t inverse = 0;  ///< of `block_bytes`, for division
  std::uint16_t blocks = 0;
  std::uint16_t free_blocks = 0;
  std::unique_ptr<std::atomic<bool>[]> taken;   // one mark per block, or for the run
  std::unique_ptr<std::uint16_t[]> free_stack;  // numbers of the free blocks
  Extent* previous = nullptr;                   // slabs of one list
  Extent* next = nullptr;

  bool is_slab() const noexcept { return block_class != block_class_count; }
  std::size_t bytes() const noexcept { return std::size_t{pages} * page_bytes; }
};

/// An allocation as its address tells.
struct Found {
  Extent* extent = nullptr;
  std::byte* base = nullptr;  ///< where the allocation that `address` lies in begins
  std::size_t size = 0;       ///< and how much memory it occupies
  std::atomic<bool>* taken = nullptr;
};

/// Blocks and runs cut from the reserve. `find` takes no lock; everything else is for one thread at a time.
class Extents {
 public:
  explicit Extents(Reserve& reserve) noexcept : reserve_(reserve) {}
  Extents(const Extents&) = delete;
  Extents& operator=(const Extents&) = delete;

  /// Fills the front of `blocks` with free blocks of the class, as many as there are without growing, and at least one
  /// unless there is no more memory. Throws std::bad_alloc.
  std::size_t take_blocks(unsigned block_class, int numa_node, std::span<Block> blocks);
  /// The mark was taken off before.
  void give_block(const Block& block) noexcept;

  /// Gives the memory of slabs without a taken block back to the reserve.
  void trim() noexcept;

  /// A run as one allocation, its mark set; null when there is no more memory. Throws std::bad_alloc.
  std::byte* take_run(std::size_t size, std::size_t alignment, int numa_node);
  void give_run(Extent& extent) noexcept;

  /// Any thread. The place in an extent that is in use, whether or not the block there is taken; nothing for any other
  /// address.
  std::optional<Found> find(const void* address) const noexcept;

 private:
  /// Slabs of one class that have free blocks, and how many of those are free as a whole.
  struct SlabList {
    Extent* first = nullptr;
    std::size_t empty = 0;
  };

  Extent* grow(unsigned block_class, int numa_node);
  void release(Extent& slab) noexcept;
  Extent& unused(std::vector<Extent*>& spare);
  void link(Extent& slab) noexcept;
  void unlink(Extent& slab) noexcept;

  Reserve& reserve_;
  PageMap pages_;
  std::array<SlabList, block_class_count> lists_;
  std::vector<std::unique_ptr<Extent>> extents_;
  std::array<std::vector<Extent*>, block_class_count + 1> spare_;  // by class; runs last
};

}  // namespace spdkio::embedded
