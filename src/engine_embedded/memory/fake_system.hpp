// The operating system as the tests of this folder want it: what it has, what it refuses, and what it was asked.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "engine_embedded/memory/system_memory.hpp"

namespace spdkio::embedded {

class FakeSystem final : public SystemMemory {
 public:
  std::atomic<std::size_t> memory_limit{~std::size_t{0}};  ///< bytes of ordinary memory that may be mapped
  std::atomic<std::size_t> hugepages_total{0};
  std::size_t nodes = 1;
  bool may_see_physical = true;
  /// Physical addresses jump after this many hugepages.
  std::size_t physical_run = ~std::size_t{0};

  std::atomic<std::size_t> mapped{0};
  std::atomic<std::size_t> hugepages_used{0};
  std::vector<MapRequest> requests;  // guarded by the mutex

  Result<std::byte*> map(const MapRequest& request) override {
    const std::lock_guard lock(mutex_);
    requests.push_back(request);
    const std::size_t pages = request.size / hugepage_bytes;
    if (request.huge ? hugepages_used + pages > hugepages_total : mapped + request.size > memory_limit) {
      return std::unexpected(Error(std::errc::not_enough_memory, "refused by the test").with_operation("mmap"));
    }
    const std::size_t most = request.size + hugepage_bytes;
    void* raw = ::mmap(nullptr, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return std::unexpected(Error(std::errc::not_enough_memory, "mmap"));
    auto* begin = static_cast<std::byte*>(raw);
    const std::size_t before = -reinterpret_cast<std::uintptr_t>(begin) % hugepage_bytes;
    if (before != 0) ::munmap(begin, before);
    ::munmap(begin + before + request.size, most - before - request.size);
    maps_.emplace(begin + before, request);
    (request.huge ? hugepages_used : mapped) += request.huge ? pages : request.size;
    return begin + before;
  }
  void unmap(std::byte* memory, std::size_t size) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto found = maps_.find(memory);
    if (found == maps_.end() || found->second.size != size) std::abort();
    (found->second.huge ? hugepages_used : mapped) -= found->second.huge ? size / hugepage_bytes : size;
    maps_.erase(found);
    ::munmap(memory, size);
  }
  HugepageCount hugepages() const override {
    return {.free = hugepages_total - hugepages_used, .total = hugepages_total};
  }
  bool numa_node_exists(int node) const override { return node >= 0 && static_cast<std::size_t>(node) < nodes; }
  std::size_t numa_node_count() const override { return nodes; }
  bool is_mapped(const std::byte* memory, std::size_t size) const override {
    return linux_memory().is_mapped(memory, size);
  }
  std::size_t page_size_of(const std::byte* memory) const override {
    const std::lock_guard lock(mutex_);
    return huge_regions.contains(memory) ? hugepage_bytes : 4096;
  }
  Result<std::uint64_t> physical_address(const std::byte* memory) const override {
    if (!may_see_physical) return std::unexpected(Error(std::errc::operation_not_permitted, "not for this process"));
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    const std::uint64_t jump = address / hugepage_bytes / physical_run * (std::uint64_t{1} << 40);
    return address % (std::uint64_t{1} << 40) + jump;
  }

  std::size_t chunks() const {
    const std::lock_guard lock(mutex_);
    return maps_.size();
  }
  /// Regions that are to look as if they were made of hugepages.
  std::map<const std::byte*, bool> huge_regions;

 private:
  mutable std::mutex mutex_;
  std::map<std::byte*, MapRequest> maps_;
};

}  // namespace spdkio::embedded
