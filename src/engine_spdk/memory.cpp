#include "engine_spdk/memory.hpp"

#include <spdkio/base/error.hpp>

#include <spdk/env.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace spdkio::spdk {
namespace {
constexpr std::size_t page_size = 4096;
}

SpdkMemory& SpdkMemory::instance() {
  static auto* const memory = new SpdkMemory;  // never destroyed: buffers may be given back by static destructors
  return *memory;
}

void SpdkMemory::set_environment(bool hugepages, std::size_t reserved, std::string description) {
  const std::lock_guard lock(mutex_);
  hugepages_ = hugepages;
  reserved_ = reserved;
  description_ = std::move(description);
}

void* SpdkMemory::allocate(std::size_t size, std::size_t alignment, int numa_node) noexcept {
  void* const memory =
      ::spdk_malloc(size, alignment, nullptr, numa_node < 0 ? SPDK_ENV_NUMA_ID_ANY : numa_node, SPDK_MALLOC_DMA);
  if (memory == nullptr) return nullptr;
  allocated_.fetch_add(size, std::memory_order_relaxed);
  allocations_.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void SpdkMemory::free(void* memory, std::size_t size) noexcept {
  ::spdk_free(memory);
  allocated_.fetch_sub(size, std::memory_order_relaxed);
  allocations_.fetch_sub(1, std::memory_order_relaxed);
}

Result<> SpdkMemory::register_region(void* memory, std::size_t size) {
  auto* const begin = static_cast<std::byte*>(memory);
  const std::lock_guard lock(mutex_);
  const auto next = regions_.lower_bound(begin);
  const bool overlaps = (next != regions_.end() && next->first < begin + size) ||
                        (next != regions_.begin() && std::prev(next)->first + std::prev(next)->second.size > begin);
  const int rc = overlaps ? -EBUSY : ::spdk_mem_register(memory, size);
  if (rc == -EBUSY) {
    return std::unexpected(Error(std::errc::address_in_use, "the memory, or a part of it, is registered already")
                               .with_operation("spdk_mem_register"));
  }
  if (rc != 0) {
    return std::unexpected(
        Error::from_errno(-rc, "SPDK can't register the memory").with_operation("spdk_mem_register"));
  }
  regions_.emplace(begin, Region{size, ++last_id_});
  version_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<> SpdkMemory::unregister_region(void* memory) {
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(static_cast<std::byte*>(memory));
  if (found == regions_.end()) {
    return std::unexpected(Error(Misuse::invalid_argument, "no region begins at this address"));
  }
  const int rc = ::spdk_mem_unregister(memory, found->second.size);
  regions_.erase(found);
  version_.fetch_add(1, std::memory_order_release);
  if (rc == 0) return {};
  return std::unexpected(
      Error::from_errno(-rc, "SPDK can't unregister the memory").with_operation("spdk_mem_unregister"));
}

Result<engine::IovaRange> SpdkMemory::translate(const void* memory, std::size_t size) const {
  std::uint64_t length = size;
  const std::uint64_t address = ::spdk_vtophys(memory, &length);
  if (address == SPDK_VTOPHYS_ERROR) {
    return std::unexpected(Error(std::errc::bad_address, "SPDK knows no device address for this memory")
                               .with_operation("spdk_vtophys")
                               .with_hint("it has none for ordinary pages, or with no_pci"));
  }
  return engine::IovaRange{engine::Iova{address}, std::min<std::size_t>(length, size)};
}

std::vector<engine::MemoryChunk> SpdkMemory::chunks() const {
  const std::lock_guard lock(mutex_);
  std::vector<engine::MemoryChunk> all;
  for (const auto& [base, region] : regions_) all.push_back({base, region.size, region.id});
  return all;
}

engine::MemoryInfo SpdkMemory::info() const {
  const std::lock_guard lock(mutex_);
  return {.hugepages = hugepages_,
          .page_size = hugepages_ ? std::size_t{2} << 20 : page_size,
          .reserved = reserved_,
          .allocated = allocated_.load(std::memory_order_relaxed),
          .allocations = allocations_.load(std::memory_order_relaxed),
          .description = description_};
}

}  // namespace spdkio::spdk
