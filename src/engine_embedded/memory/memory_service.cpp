#include "engine_embedded/memory/memory_service.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "engine/memory_poison.hpp"

namespace spdkio::embedded {
namespace {

constexpr std::size_t most_cached_blocks = 256;

/// Of one class in one cache: 2 MiB worth of them.
constexpr std::uint32_t magazine_size(unsigned block_class) noexcept {
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>((std::size_t{2} << 20) / block_size(block_class), 2, most_cached_blocks));
}

void say(const std::string& notice) noexcept {
  if (!notice.empty()) log::info("{}", notice);
}

}  // namespace

void RetireMemory::operator()(EmbeddedMemory* memory) const noexcept { memory->retire(); }

MemoryHandle make_memory_service(const EnvOptions& options) { return make_memory_service(options, linux_memory()); }

MemoryHandle make_memory_service(const EnvOptions& options, SystemMemory& system) {
  // Not make_shared: caches of idle OS threads hold weak references, which would keep the object's own storage.
  const std::shared_ptr<EmbeddedMemory> memory{new EmbeddedMemory(options, system)};
  memory->self_ = memory;
  say(memory->reserve_.take_notice());
  return MemoryHandle{memory.get()};
}

EmbeddedMemory::EmbeddedMemory(const EnvOptions& options, SystemMemory& system)
    : system_(system),
      several_nodes_(system.numa_node_count() > 1),
      directory_(system),
      reserve_(system, directory_, options),
      extents_(reserve_) {}

void* EmbeddedMemory::allocate(std::size_t size, std::size_t alignment, int numa_node) noexcept {
  if (size == 0 || size > most_run_bytes || alignment > most_run_bytes || !std::has_single_bit(alignment))
    return nullptr;
  if (numa_node != engine::any_numa_node && !usable_node(numa_node)) return nullptr;
  void* memory = nullptr;
  const auto block_class = block_class_for(size, alignment);
  if (block_class && numa_node == engine::any_numa_node) [[likely]] {
    memory = allocate_block(*block_class);
  } else {
    try {
      memory = allocate_with_lock(size, alignment, numa_node);
    } catch (const std::bad_alloc&) {
    }
  }
  if (memory != nullptr) engine::unpoison(memory, size);
  return memory;
}

bool EmbeddedMemory::usable_node(int& numa_node) noexcept {
  if (!system_.numa_node_exists(numa_node)) {
    if (!reported_node_.exchange(true)) {
      log::error("memory on NUMA node {} was asked for, which this machine does not have", numa_node);
    }
    return false;
  }
  if (!several_nodes_) numa_node = engine::any_numa_node;
  return true;
}

void* EmbeddedMemory::allocate_block(unsigned block_class) noexcept {
  Cache* cache = my_cache();
  if (cache != nullptr) {
    const std::lock_guard lock(*cache);
    Magazine& magazine = cache->magazines[block_class];
    if (magazine.count != 0) [[likely]] {
      const Block block = magazine.blocks[--magazine.count];
      block.taken->store(true, std::memory_order_relaxed);
      cache->allocations += 1;
      cache->bytes += static_cast<std::int64_t>(block_size(block_class));
      return block.memory;
    }
  }
  try {
    return refill(cache, block_class);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

// The block that is handed out is counted here, with the lock: it keeps the service alive until the others are put
// away.
void* EmbeddedMemory::refill(Cache* cache, unsigned block_class) {
  std::array<Block, most_cached_blocks / 2> blocks;
  const std::size_t wanted = cache == nullptr ? 1 : magazine_size(block_class) / 2;
  std::unique_ptr<Block[]> storage;
  if (cache != nullptr && cache->magazines[block_class].blocks == nullptr) {
    storage = std::make_unique<Block[]>(magazine_size(block_class));
  }
  std::size_t got = 0;
  std::string notice;
  {
    const std::lock_guard lock(mutex_);
    if (retired_) return nullptr;
    got = extents_.take_blocks(block_class, engine::any_numa_node, {blocks.data(), wanted});
    if (got == 0) {
      reclaim();
      got = extents_.take_blocks(block_class, engine::any_numa_node, {blocks.data(), 1});
    }
    if (got != 0) {
      blocks[0].taken->store(true, std::memory_order_relaxed);
      count(1, static_cast<std::int64_t>(block_size(block_class)));
    }
    notice = reserve_.take_notice();
  }
  say(notice);
  if (got == 0) return nullptr;
  if (got == 1) return blocks[0].memory;
  {
    const std::lock_guard lock(*cache);
    if (cache->attached()) {
      Magazine& magazine = cache->magazines[block_class];
      if (magazine.blocks == nullptr) magazine.blocks = std::move(storage);
      std::copy(blocks.begin() + 1, blocks.begin() + static_cast<std::ptrdiff_t>(got), magazine.blocks.get());
      magazine.count = static_cast<std::uint32_t>(got - 1);
      return blocks[0].memory;
    }
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 1; i < got; ++i) extents_.give_block(blocks[i]);
  return blocks[0].memory;
}

void* EmbeddedMemory::allocate_with_lock(std::size_t size, std::size_t alignment, int numa_node) {
  const auto block_class = block_class_for(size, alignment);
  const auto take = [&]() -> std::byte* {
    if (!block_class) return extents_.take_run(size, alignment, numa_node);
    Block block;
    if (extents_.take_blocks(*block_class, numa_node, {&block, 1}) == 0) return nullptr;
    block.taken->store(true, std::memory_order_relaxed);
    return block.memory;
  };
  std::byte* memory = nullptr;
  std::string notice;
  {
    const std::lock_guard lock(mutex_);
    if (retired_) return nullptr;
    memory = take();
    if (memory == nullptr) {
      reclaim();
      memory = take();
    }
    if (memory != nullptr) count(1, static_cast<std::int64_t>(extents_.find(memory)->size));
    notice = reserve_.take_notice();
  }
  say(notice);
  return memory;
}

void EmbeddedMemory::free(void* memory, std::size_t size) noexcept {
  if (memory == nullptr) return;
  const auto found = extents_.find(memory);
  if (!found) [[unlikely]] {
    log::error("{} was freed, which is no memory of this engine, or was freed before", fmt::ptr(memory));
    return;
  }
  if (found->base != memory) [[unlikely]] {
    log::error("{} was freed, which lies inside of the buffer at {}", fmt::ptr(memory), fmt::ptr(found->base));
    return;
  }
  if (!found->taken->exchange(false, std::memory_order_relaxed)) [[unlikely]] {
    log::error("{} was freed twice", fmt::ptr(memory));
    return;
  }
  if (size > found->size) [[unlikely]] {
    log::error("{} was freed as {} bytes, but has only {}", fmt::ptr(memory), size, found->size);
  }
  engine::poison(found->base, found->size);
  if (found->extent->is_slab() && found->extent->chunk->numa_node == engine::any_numa_node) [[likely]] {
    free_block(*found);
  } else {
    free_with_lock(*found);
  }
}

// What overflows goes back with the lock, and there this block is counted: until then the service can't go away.
void EmbeddedMemory::free_block(const Found& found) noexcept {
  const unsigned block_class = found.extent->block_class;
  Cache* cache = my_cache();
  if (cache == nullptr) return free_with_lock(found);
  std::unique_ptr<Block[]> storage;
  if (cache->magazines[block_class].blocks == nullptr) [[unlikely]] {
    storage.reset(new (std::nothrow) Block[magazine_size(block_class)]);
    if (storage == nullptr) return free_with_lock(found);
  }
  std::array<Block, most_cached_blocks / 2> overflow;
  std::size_t moved = 0;
  if (const std::lock_guard lock(*cache); cache->attached()) {
    Magazine& magazine = cache->magazines[block_class];
    if (magazine.count != magazine_size(block_class)) [[likely]] {
      if (magazine.blocks == nullptr) [[unlikely]]
        magazine.blocks = std::move(storage);
      magazine.blocks[magazine.count++] = {found.base, found.taken};
      cache->allocations -= 1;
      cache->bytes -= static_cast<std::int64_t>(found.size);
      return;
    }
    moved = magazine.count / 2;
    magazine.count -= static_cast<std::uint32_t>(moved);
    std::copy_n(magazine.blocks.get() + magazine.count, moved, overflow.begin());
  }
  free_with_lock(found, {overflow.data(), moved});
}

void EmbeddedMemory::free_with_lock(const Found& found, std::span<const Block> overflow) noexcept {
  std::shared_ptr<EmbeddedMemory> last;  // dies after the lock
  const std::lock_guard lock(mutex_);
  for (const Block& block : overflow) extents_.give_block(block);
  count(-1, -static_cast<std::int64_t>(found.size));
  if (found.extent->is_slab()) {
    extents_.give_block({found.base, found.taken});
  } else {
    extents_.give_run(*found.extent);
  }
  last = last_reference();
}

EmbeddedMemory::Cache* EmbeddedMemory::my_cache() noexcept {
  if (auto* known = engine::os_thread_cache(id_)) [[likely]]
    return static_cast<Cache*>(known);
  try {
    auto cache = std::make_shared<Cache>(weak_from_this());
    const std::lock_guard lock(mutex_);
    if (retired_) return nullptr;
    caches_.push_back(cache);
    if (engine::add_os_thread_cache(id_, cache)) return cache.get();
    caches_.pop_back();
  } catch (const std::bad_alloc&) {
  }
  return nullptr;
}

void EmbeddedMemory::Cache::os_thread_ended() noexcept {
  if (const auto memory = owner.lock()) memory->end_cache(*this);
}

void EmbeddedMemory::end_cache(Cache& cache) noexcept {
  std::shared_ptr<EmbeddedMemory> last;
  const std::lock_guard lock(mutex_);
  {
    const std::lock_guard cache_lock(cache);
    empty_cache(cache);
  }
  std::erase_if(caches_, [&](const auto& known) { return known.get() == &cache; });
  last = last_reference();
}

void EmbeddedMemory::count(std::int64_t allocations, std::int64_t bytes) noexcept {
  allocations_ += allocations;
  bytes_ += bytes;
}

void EmbeddedMemory::empty_cache(Cache& cache) noexcept {
  for (Magazine& magazine : cache.magazines) {
    while (magazine.count != 0) extents_.give_block(magazine.blocks[--magazine.count]);
  }
  count(std::exchange(cache.allocations, 0), std::exchange(cache.bytes, 0));
}

void EmbeddedMemory::reclaim() noexcept {
  for (const auto& cache : caches_) {
    const std::lock_guard cache_lock(*cache);
    empty_cache(*cache);
  }
  extents_.trim();
}

std::shared_ptr<EmbeddedMemory> EmbeddedMemory::last_reference() noexcept {
  if (!retired_ || allocations_ != 0 || directory_.region_count() != 0) return nullptr;
  return std::move(self_);
}

void EmbeddedMemory::retire() noexcept {
  std::shared_ptr<EmbeddedMemory> keep;
  std::int64_t allocations = 0;
  std::int64_t bytes = 0;
  std::size_t regions = 0;
  {
    const std::lock_guard lock(mutex_);
    keep = self_;
    retired_ = true;
    for (const auto& cache : caches_) {
      // One critical section: a block that was freed between the two would stay in the cache for ever.
      const std::lock_guard cache_lock(*cache);
      empty_cache(*cache);
      cache->detach();
    }
    caches_.clear();
    extents_.trim();
    [[maybe_unused]] const auto unmapped = directory_.set_mapper(nullptr);
    reserve_.wind_down();
    allocations = allocations_;
    bytes = bytes_;
    regions = directory_.region_count();
    [[maybe_unused]] const auto done = last_reference();
  }
  if (allocations != 0 || regions != 0) {
    log::warn(
        "the engine stopped while {} allocation(s) of {} and {} region(s) are still out; the memory stays until they "
        "are freed",
        allocations, format_bytes(ByteCount{static_cast<std::uint64_t>(bytes)}), regions);
  }
}

Result<> EmbeddedMemory::register_region(void* memory, std::size_t size) {
  const auto refuse = [](Error error) { return std::unexpected(error.with_operation("register_region")); };
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  if (memory == nullptr || size == 0) return refuse(Error(Misuse::invalid_argument, "an empty region"));
  if (address % page_bytes != 0 || size % page_bytes != 0) {
    return refuse(Error(Misuse::misaligned, fmt::format("a region at {} of {} bytes, which are not multiples of {}",
                                                        fmt::ptr(memory), size, page_bytes)));
  }
  if (address >= PageMap::address_end || size > PageMap::address_end - address) {
    return refuse(Error(Misuse::invalid_argument,
                        fmt::format("a region at {} of {} bytes, beyond the end of memory", fmt::ptr(memory), size)));
  }
  auto* const base = static_cast<std::byte*>(memory);
  if (!system_.is_mapped(base, size)) {
    return refuse(Error(std::errc::bad_address, fmt::format("not all of the {} bytes at {} is memory of this process",
                                                            size, fmt::ptr(memory))));
  }
  const std::lock_guard lock(mutex_);
  if (retired_) return refuse(Error(Misuse::not_started, "the engine has stopped"));
  // Physical addresses are not asked for while there is a mapper: the search for the page size can be saved.
  const std::size_t page_size = has_mapper_ ? page_bytes : system_.page_size_of(base);
  const auto entry = directory_.add(base, size, page_size, true);
  if (!entry) return refuse(entry.error());
  return {};
}

Result<> EmbeddedMemory::unregister_region(void* memory) {
  std::shared_ptr<EmbeddedMemory> last;
  const std::lock_guard lock(mutex_);
  MemoryEntry* entry = directory_.region_at(static_cast<const std::byte*>(memory));
  if (entry == nullptr) {
    return std::unexpected(Error(Misuse::invalid_argument, fmt::format("no region begins at {}", fmt::ptr(memory)))
                               .with_operation("unregister_region"));
  }
  directory_.remove(*entry);
  last = last_reference();
  return {};
}

Result<engine::IovaRange> EmbeddedMemory::translate(const void* memory, std::size_t size) const {
  const auto refuse = [](Error error) { return std::unexpected(error.with_operation("translate")); };
  if (size == 0) return refuse(Error(Misuse::invalid_argument, "a length of zero"));
  const auto* const begin = static_cast<const std::byte*>(memory);
  MemoryEntry* entry = directory_.find(memory);
  const std::byte* end = nullptr;
  if (entry != nullptr && entry->region.load(std::memory_order_relaxed)) {
    end = entry->end();
  } else if (entry != nullptr) {
    const auto found = extents_.find(memory);
    if (found && found->taken->load(std::memory_order_relaxed)) end = found->base + found->size;
  }
  if (end == nullptr) {
    return refuse(Error(std::errc::bad_address, fmt::format("{} is neither allocated nor registered", fmt::ptr(memory)))
                      .with_hint("devices reach only DmaBuf, DmaPool and DmaRegion memory"));
  }
  return directory_.translate(*entry, begin, std::min(size, static_cast<std::size_t>(end - begin)));
}

std::vector<engine::MemoryChunk> EmbeddedMemory::chunks() const {
  const std::lock_guard lock(mutex_);
  return directory_.chunks();
}

engine::MemoryInfo EmbeddedMemory::info() const {
  const std::lock_guard lock(mutex_);
  std::int64_t allocations = allocations_;
  std::int64_t bytes = bytes_;
  for (const auto& cache : caches_) {
    const std::lock_guard cache_lock(*cache);
    allocations += cache->allocations;
    bytes += cache->bytes;
  }
  const bool huge = reserve_.huge();
  return {.hugepages = huge,
          .page_size = huge ? hugepage_bytes : page_bytes,
          .reserved = reserve_.bytes(),
          .allocated = static_cast<std::size_t>(bytes),
          .allocations = static_cast<std::size_t>(allocations),
          .description = reserve_.description()};
}

Result<> EmbeddedMemory::set_dma_mapper(engine::DmaMapper* mapper) {
  const std::lock_guard lock(mutex_);
  auto done = directory_.set_mapper(mapper);
  has_mapper_ = mapper != nullptr && done.has_value();
  return done;
}

}  // namespace spdkio::embedded
