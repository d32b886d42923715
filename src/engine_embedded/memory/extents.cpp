#include "engine_embedded/memory/extents.hpp"

#include <algorithm>
#include <limits>

#include "engine/memory_poison.hpp"

namespace spdkio::embedded {
namespace {

/// Small classes get many blocks, so that a thread's cache is filled from one slab; large ones at least two.
std::uint32_t slab_pages(unsigned block_class) {
  constexpr std::size_t least_bytes = std::size_t{64} << 10;
  constexpr std::size_t usual_bytes = std::size_t{256} << 10;
  constexpr std::size_t most_bytes = std::size_t{2} << 20;
  const std::size_t size = block_size(block_class);
  const std::size_t blocks = std::clamp<std::size_t>(usual_bytes / size, 8, 64);
  const std::size_t bytes = std::clamp(blocks * size, least_bytes, std::max(most_bytes / size * size, size));
  return static_cast<std::uint32_t>((bytes + page_bytes - 1) / page_bytes);
}

std::uint32_t inverse_of(std::uint32_t size) {
  return static_cast<std::uint32_t>((std::numeric_limits<std::uint32_t>::max() + std::uint64_t{size}) / size);
}

/// offset / block_bytes without a division. The inverse is rounded up: in a slab the result is at most one too large.
std::uint32_t block_index(const Extent& slab, std::size_t offset) {
  const auto index = static_cast<std::uint32_t>((offset * slab.inverse) >> 32);
  return std::size_t{index} * slab.block_bytes > offset ? index - 1 : index;
}

}  // namespace

std::optional<Found> Extents::find(const void* address) const noexcept {
  auto* extent = static_cast<Extent*>(pages_.find(address));
  if (extent == nullptr) return std::nullopt;
  if (!extent->is_slab()) return Found{extent, extent->base, extent->bytes(), extent->taken.get()};
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - extent->base);
  const std::uint32_t index = block_index(*extent, offset);
  if (index >= extent->blocks) return std::nullopt;  // the rest of the last page
  return Found{extent, extent->base + std::size_t{index} * extent->block_bytes, extent->block_bytes,
               &extent->taken[index]};
}

std::size_t Extents::take_blocks(unsigned block_class, int numa_node, std::span<Block> blocks) {
  std::size_t count = 0;
  Extent* slab = lists_[block_class].first;
  while (count < blocks.size()) {
    while (slab != nullptr && numa_node != engine::any_numa_node && slab->chunk->numa_node != numa_node)
      slab = slab->next;
    if (slab == nullptr) {
      if (count != 0) break;
      slab = grow(block_class, numa_node);
      if (slab == nullptr) break;
    }
    if (slab->free_blocks == slab->blocks) --lists_[block_class].empty;
    while (count < blocks.size() && slab->free_blocks != 0) {
      const std::uint16_t index = slab->free_stack[--slab->free_blocks];
      blocks[count++] = {slab->base + std::size_t{index} * slab->block_bytes, &slab->taken[index]};
    }
    Extent* const next = slab->next;
    if (slab->free_blocks == 0) unlink(*slab);
    slab = next;
  }
  return count;
}

void Extents::give_block(const Block& block) noexcept {
  Extent& slab = *static_cast<Extent*>(pages_.find(block.memory));
  SlabList& list = lists_[slab.block_class];
  if (slab.free_blocks == 0) link(slab);
  slab.free_stack[slab.free_blocks++] = static_cast<std::uint16_t>(block.taken - slab.taken.get());
  if (slab.free_blocks != slab.blocks) return;
  if (list.empty == 0) {
    ++list.empty;
    return;
  }
  // One empty slab of each class is kept: enough for blocks that come and go.
  release(slab);
}

void Extents::trim() noexcept {
  for (SlabList& list : lists_) {
    for (Extent* slab = list.first; slab != nullptr;) {
      Extent* const next = slab->next;
      if (slab->free_blocks == slab->blocks) release(*slab);
      slab = next;
    }
    list.empty = 0;
  }
}

void Extents::release(Extent& slab) noexcept {
  unlink(slab);
  pages_.set(slab.base, slab.bytes(), nullptr);
  spare_[slab.block_class].push_back(&slab);
  reserve_.free(*slab.chunk, slab.base, slab.pages);
}

Extent* Extents::grow(unsigned block_class, int numa_node) {
  Extent& slab = unused(spare_[block_class]);
  if (slab.taken == nullptr) {
    slab.block_class = block_class;
    slab.block_bytes = static_cast<std::uint32_t>(block_size(block_class));
    slab.inverse = inverse_of(slab.block_bytes);
    slab.pages = slab_pages(block_class);
    slab.blocks = static_cast<std::uint16_t>(slab.bytes() / slab.block_bytes);
    slab.free_stack = std::make_unique<std::uint16_t[]>(slab.blocks);
    slab.taken = std::make_unique<std::atomic<bool>[]>(slab.blocks);
  }
  const auto run = reserve_.allocate(slab.pages, block_alignment(block_class), numa_node);
  if (run.chunk == nullptr) return nullptr;
  try {
    pages_.prepare(run.base, slab.bytes());
  } catch (...) {
    reserve_.free(*run.chunk, run.base, slab.pages);
    throw;
  }
  spare_[block_class].pop_back();
  slab.chunk = run.chunk;
  slab.base = run.base;
  slab.free_blocks = slab.blocks;
  for (std::uint16_t i = 0; i < slab.blocks; ++i) {
    slab.free_stack[i] = static_cast<std::uint16_t>(slab.blocks - 1 - i);
  }
  pages_.set(slab.base, slab.bytes(), &slab);
  link(slab);
  ++lists_[block_class].empty;
  return &slab;
}

std::byte* Extents::take_run(std::size_t size, std::size_t alignment, int numa_node) {
  auto& spare = spare_[block_class_count];
  Extent& extent = unused(spare);
  if (extent.taken == nullptr) extent.taken = std::make_unique<std::atomic<bool>[]>(1);
  extent.pages = static_cast<std::uint32_t>((size + page_bytes - 1) / page_bytes);
  const auto run = reserve_.allocate(extent.pages, alignment, numa_node);
  if (run.chunk == nullptr) return nullptr;
  try {
    pages_.prepare(run.base, extent.bytes());
  } catch (...) {
    reserve_.free(*run.chunk, run.base, extent.pages);
    throw;
  }
  spare.pop_back();
  extent.chunk = run.chunk;
  extent.base = run.base;
  extent.taken[0].store(true, std::memory_order_relaxed);
  pages_.set(extent.base, extent.bytes(), &extent);
  return extent.base;
}

void Extents::give_run(Extent& extent) noexcept {
  extent.taken[0].store(false, std::memory_order_relaxed);
  pages_.set(extent.base, extent.bytes(), nullptr);
  spare_[block_class_count].push_back(&extent);
  reserve_.free(*extent.chunk, extent.base, extent.pages);
}

/// The last of `spare`, which the caller takes out once nothing can fail any more.
Extent& Extents::unused(std::vector<Extent*>& spare) {
  if (spare.empty()) {
    spare.reserve(extents_.size() + 1);  // room for all there are: giving one back can't fail
    extents_.push_back(std::make_unique<Extent>());
    spare.push_back(extents_.back().get());
  }
  return *spare.back();
}

void Extents::link(Extent& slab) noexcept {
  Extent*& first = lists_[slab.block_class].first;
  slab.previous = nullptr;
  slab.next = first;
  if (first != nullptr) first->previous = &slab;
  first = &slab;
}

void Extents::unlink(Extent& slab) noexcept {
  (slab.previous != nullptr ? slab.previous->next : lists_[slab.block_class].first) = slab.next;
  if (slab.next != nullptr) slab.next->previous = slab.previous;
}

}  // namespace spdkio::embedded
