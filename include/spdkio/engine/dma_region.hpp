// DmaRegion: memory that the program owns, made usable for transfers.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/engine/memory.hpp>

#include <cstddef>
#include <span>

namespace spdkio {

/// Registers memory (an mmap, shared memory, a buffer of another library) with the running engine for the life of the
/// object. The memory stays the program's and must outlive the region; the region must outlive operations that use it,
/// and end before the Env does. Move-only.
class DmaRegion {
 public:
  /// Throws Misuse::misaligned unless address and size are multiples of 4096, Error(address_in_use) when it overlaps
  /// memory that is registered already, Misuse::not_started without an Env.
  explicit DmaRegion(std::span<std::byte> memory);
  DmaRegion(DmaRegion&& other) noexcept;
  DmaRegion& operator=(DmaRegion&& other) noexcept;
  ~DmaRegion();

  DmaSpan span() const noexcept { return DmaSpan::from_registered(memory_.data(), memory_.size()); }
  DmaSpan subspan(std::size_t offset, std::size_t count) const { return span().subspan(offset, count); }
  Result<engine::IovaRange> iova() const;

 private:
  engine::MemoryService* service_ = nullptr;
  std::span<std::byte> memory_;
};

}  // namespace spdkio
