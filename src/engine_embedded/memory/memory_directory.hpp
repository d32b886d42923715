// Which memory devices may reach: chunks of the reserve and regions of the program, found by address.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/memory.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "engine_embedded/memory/page_map.hpp"
#include "engine_embedded/memory/system_memory.hpp"

namespace spdkio::embedded {

/// One chunk or region. Lives as long as the directory, to be used again for others: finding one never meets freed
/// memory. Who translates an address must keep its memory until then.
struct MemoryEntry {
  std::atomic<std::byte*> base{nullptr};
  std::atomic<std::size_t> size{0};
  std::atomic<bool> region{false};  ///< of the program, not of the reserve
  std::atomic<bool> mapped{false};  ///< `iova` is good for all of it
  std::atomic<std::uint64_t> iova{0};
  std::atomic<std::size_t> page_size{0};
  std::size_t index = 0;
  std::uint64_t id = 0;
  /// Physical addresses of the hugepages that it touches, as they were found out; 0: not yet.
  std::vector<std::atomic<std::uint64_t>> frames;

  std::byte* end() const noexcept {
    return base.load(std::memory_order_relaxed) + size.load(std::memory_order_relaxed);
  }
};

/// Finding and translating: any thread, no lock. Everything else: one thread at a time.
class MemoryDirectory {
 public:
  explicit MemoryDirectory(SystemMemory& system) noexcept : system_(system) {}
  MemoryDirectory(const MemoryDirectory&) = delete;
  MemoryDirectory& operator=(const MemoryDirectory&) = delete;

  /// Both are multiples of 4096. Error(address_in_use) when it overlaps what is there; what the mapper says.
  Result<MemoryEntry*> add(std::byte* base, std::size_t size, std::size_t page_size, bool region);
  void remove(MemoryEntry& entry) noexcept;
  /// The region that starts there, or null.
  MemoryEntry* region_at(const std::byte* base) const noexcept;
  std::size_t region_count() const noexcept { return region_count_; }

  /// Null: none. What is there is unmapped from the old one and mapped by the new one; after an error there is none.
  Result<> set_mapper(engine::DmaMapper* mapper);

  MemoryEntry* find(const void* address) const noexcept { return static_cast<MemoryEntry*>(pages_.find(address)); }
  /// For `size` bytes (not 0) from `memory`, which lies in `entry` with all of them.
  Result<engine::IovaRange> translate(MemoryEntry& entry, const std::byte* memory, std::size_t size) const;

  std::vector<engine::MemoryChunk> chunks() const;
  std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

 private:
  Result<> map(MemoryEntry& entry);
  void unmap(MemoryEntry& entry) noexcept;
  Result<std::uint64_t> frame_address(MemoryEntry& entry, std::uintptr_t hugepage) const;

  SystemMemory& system_;
  engine::DmaMapper* mapper_ = nullptr;
  PageMap pages_;
  std::deque<MemoryEntry> entries_;
  std::vector<MemoryEntry*> by_index_;  // null: the chunk of that index went away
  std::map<const std::byte*, MemoryEntry*> by_base_;
  std::size_t region_count_ = 0;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace spdkio::embedded
