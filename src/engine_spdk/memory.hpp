// DMA memory of SPDK's environment.
#pragma once

#include <spdkio/engine/memory.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace spdkio::spdk {

/// The environment can't be started twice in a process, so that there is one of these, and it lives to the end: what
/// was allocated may be given back after the engine has stopped.
class SpdkMemory final : public engine::MemoryService {
 public:
  static SpdkMemory& instance();

  void* allocate(std::size_t size, std::size_t alignment, int numa_node) noexcept override;
  void free(void* memory, std::size_t size) noexcept override;
  Result<> register_region(void* memory, std::size_t size) override;
  Result<> unregister_region(void* memory) override;
  Result<engine::IovaRange> translate(const void* memory, std::size_t size) const override;
  /// Regions of the program only: what SPDK reserves is not told to the public.
  std::vector<engine::MemoryChunk> chunks() const override;
  std::uint64_t chunks_version() const noexcept override { return version_.load(std::memory_order_acquire); }
  engine::MemoryInfo info() const override;

  /// By the environment, once it is up.
  void set_environment(bool hugepages, std::size_t reserved, std::string description);

 private:
  struct Region {
    std::size_t size = 0;
    std::uint64_t id = 0;
  };

  std::atomic<std::size_t> allocated_{0};
  std::atomic<std::size_t> allocations_{0};
  std::atomic<std::uint64_t> version_{1};
  mutable std::mutex mutex_;
  std::map<std::byte*, Region> regions_;
  std::uint64_t last_id_ = 0;
  bool hugepages_ = false;
  std::size_t reserved_ = 0;
  std::string description_;
};

}  // namespace spdkio::spdk
