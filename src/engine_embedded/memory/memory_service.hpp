// DMA memory of the embedded engine.
#pragma once

#include <spdkio/engine/memory.hpp>
#include <spdkio/engine/options.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/os_thread_cache.hpp"
#include "engine_embedded/memory/extents.hpp"
#include "engine_embedded/memory/memory_directory.hpp"
#include "engine_embedded/memory/reserve.hpp"
#include "engine_embedded/memory/system_memory.hpp"

namespace spdkio::embedded {

class EmbeddedMemory;

/// Ends the engine's use of the service; what is still out keeps it alive.
struct RetireMemory {
  void operator()(EmbeddedMemory* memory) const noexcept;
};
/// What the engine owns. When it lets go, nothing more can be allocated, and the log says how much is still out; then
/// the service deletes itself with the last allocation that is freed or region that is unregistered, at once if there
/// is none.
using MemoryHandle = std::unique_ptr<EmbeddedMemory, RetireMemory>;

/// Reserves `options.mem_size`. One line in the log says when hugepages are not what it is made of. Throws
/// Error(not_enough_memory).
MemoryHandle make_memory_service(const EnvOptions& options);
/// The same on other ground, for tests; `system` outlives everything.
MemoryHandle make_memory_service(const EnvOptions& options, SystemMemory& system);

class EmbeddedMemory final : public engine::MemoryService, public std::enable_shared_from_this<EmbeddedMemory> {
 public:
  EmbeddedMemory(const EnvOptions& options, SystemMemory& system);
  EmbeddedMemory(const EmbeddedMemory&) = delete;
  EmbeddedMemory& operator=(const EmbeddedMemory&) = delete;

  /// Up to 1 MiB from a cache of the calling OS thread; beyond, or on a NUMA node of a machine that has several, with a
  /// lock. The first use of a node that does not exist is an error in the log.
  void* allocate(std::size_t size, std::size_t alignment, int numa_node) noexcept override;
  /// Memory that is not allocated here, or not any more, is left alone, and the log says so.
  void free(void* memory, std::size_t size) noexcept override;

  Result<> register_region(void* memory, std::size_t size) override;
  Result<> unregister_region(void* memory) override;
  /// With a mapper: its address. Without: the physical address, for hugepages only. The length ends with the allocation
  /// or region, or where physical memory does not go on.
  Result<engine::IovaRange> translate(const void* memory, std::size_t size) const override;

  /// An entry of size 0 is an index whose chunk went away; a later chunk takes it. The version changes before the
  /// memory of a chunk goes and before memory of a new one is handed out.
  std::vector<engine::MemoryChunk> chunks() const override;
  std::uint64_t chunks_version() const noexcept override { return directory_.version(); }
  engine::MemoryInfo info() const override;

  Result<> set_dma_mapper(engine::DmaMapper* mapper) override;

 private:
  friend struct RetireMemory;
  friend MemoryHandle make_memory_service(const EnvOptions& options, SystemMemory& system);

  struct Magazine {
    std::uint32_t count = 0;
    std::unique_ptr<Block[]> blocks;  // made at first use
  };
  /// What an OS thread allocated and freed without the lock, and the blocks it did that with.
  struct Cache final : engine::OsThreadCache {
    explicit Cache(std::weak_ptr<EmbeddedMemory> memory) : owner(std::move(memory)) {}
    void os_thread_ended() noexcept override;
    const std::weak_ptr<EmbeddedMemory> owner;
    std::array<Magazine, block_class_count> magazines;
    std::int64_t allocations = 0;
    std::int64_t bytes = 0;
  };

  Cache* my_cache() noexcept;
  void* allocate_block(unsigned block_class) noexcept;
  void* refill(Cache* cache, unsigned block_class);
  void* allocate_with_lock(std::size_t size, std::size_t alignment, int numa_node);
  void free_block(const Found& found) noexcept;
  void free_with_lock(const Found& found, std::span<const Block> overflow = {}) noexcept;
  bool usable_node(int& numa_node) noexcept;
  void end_cache(Cache& cache) noexcept;
  void retire() noexcept;

  // With `mutex_` held.
  void count(std::int64_t allocations, std::int64_t bytes) noexcept;
  void empty_cache(Cache& cache) noexcept;  // and with the cache's lock
  void reclaim() noexcept;
  std::shared_ptr<EmbeddedMemory> last_reference() noexcept;

  const engine::StockId id_ = engine::next_stock_id();
  SystemMemory& system_;
  const bool several_nodes_;
  std::atomic<bool> reported_node_{false};

  // Guards what follows, except for what finds an address. The lock of a cache may be taken inside.
  mutable std::mutex mutex_;
  MemoryDirectory directory_;
  Reserve reserve_;
  Extents extents_;
  std::vector<std::shared_ptr<Cache>> caches_;
  std::int64_t allocations_ = 0;  // those that no cache counts
  std::int64_t bytes_ = 0;
  bool has_mapper_ = false;
  bool retired_ = false;
  std::shared_ptr<EmbeddedMemory> self_;
};

}  // namespace spdkio::embedded
