// An engine without an engine, for the tests of this folder: memory from the heap, counted, that can run out.
#pragma once

#include <spdkio/engine/engine.hpp>

#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

namespace spdkio::engine {

class FakeMemory final : public MemoryService {
 public:
  std::atomic<std::size_t> limit{~std::size_t{0}};  ///< allocations beyond this many bytes fail
  std::atomic<std::size_t> allocated{0};
  std::atomic<std::size_t> allocations{0};
  std::atomic<int> last_node{any_numa_node};
  std::map<void*, std::size_t> regions;

  void* allocate(std::size_t size, std::size_t alignment, int numa_node) noexcept override {
    last_node = numa_node;
    if (size > limit || allocated + size > limit) return nullptr;
    if (alignment < sizeof(void*)) alignment = sizeof(void*);
    void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == nullptr) return nullptr;
    allocated += size;
    ++allocations;
    return memory;
  }
  void free(void* memory, std::size_t size) noexcept override {
    std::free(memory);
    allocated -= size;
    --allocations;
  }
  Result<> register_region(void* memory, std::size_t size) override {
    if (!regions.emplace(memory, size).second) {
      return std::unexpected(Error(std::errc::address_in_use, "registered already"));
    }
    return {};
  }
  Result<> unregister_region(void* memory) override {
    if (regions.erase(memory) == 0) return std::unexpected(Error(Misuse::invalid_argument, "not registered"));
    return {};
  }
  Result<IovaRange> translate(const void* memory, std::size_t size) const override {
    return IovaRange{.start = Iova{reinterpret_cast<std::uintptr_t>(memory)}, .length = size};
  }
  std::vector<MemoryChunk> chunks() const override { return {}; }
  std::uint64_t chunks_version() const noexcept override { return 1; }
  MemoryInfo info() const override {
    return {.page_size = 4096, .allocated = allocated, .allocations = allocations, .description = "a fake"};
  }
};

/// Runs from its construction to its end.
class FakeEngine final : public Engine {
 public:
  FakeEngine() { install(this); }
  ~FakeEngine() override { install(nullptr); }

  std::string_view name() const noexcept override { return "fake"; }
  std::string version() const override { return "0"; }
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  MemoryService& memory() noexcept override { return memory_; }
  // Nothing in this folder asks for these.
  ReactorService& reactors() noexcept override { std::abort(); }
  bdev::Service& bdevs() noexcept override { std::abort(); }

  FakeMemory& fake_memory() noexcept { return memory_; }

 private:
  Capabilities capabilities_;
  FakeMemory memory_;
};

}  // namespace spdkio::engine
