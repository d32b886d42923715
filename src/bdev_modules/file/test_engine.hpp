// TestEngine: as much of an engine as the tests of this module need: an arena as DMA memory and a registry of bdevs.
// Threads are attached by the tests themselves.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/block_on.hpp>

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "bdev/registry.hpp"

namespace spdkio::bdev::file::test {

/// One chunk that is known to devices, given out from the front and reused when all of it was freed; what does not fit,
/// or is asked for while `outside` is set, lies in no chunk.
class TestMemory final : public engine::MemoryService {
 public:
  explicit TestMemory(std::size_t bytes)
      : bytes_(bytes),
        base_(static_cast<std::byte*>(
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    if (base_ == MAP_FAILED) throw std::bad_alloc();
  }
  TestMemory(const TestMemory&) = delete;
  ~TestMemory() { ::munmap(base_, bytes_); }

  void* allocate(std::size_t size, std::size_t alignment, int) noexcept override {
    const std::lock_guard lock(mutex_);
    const std::size_t start = (used_ + alignment - 1) / alignment * alignment;
    if (outside || start + size > bytes_) {
      return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    }
    used_ = start + size;
    ++alive_;
    return base_ + start;
  }
  void free(void* memory, std::size_t) noexcept override {
    if (!contains(memory)) return std::free(memory);
    const std::lock_guard lock(mutex_);
    if (--alive_ == 0) used_ = 0;
  }
  Result<> register_region(void*, std::size_t) override { return {}; }
  Result<> unregister_region(void*) override { return {}; }
  Result<engine::IovaRange> translate(const void*, std::size_t) const override {
    return std::unexpected(Error(std::errc::operation_not_supported));
  }
  std::vector<engine::MemoryChunk> chunks() const override {
    auto all = more;
    all.push_back({.base = base_, .size = bytes_, .id = id.load(std::memory_order_relaxed)});
    return all;
  }
  std::uint64_t chunks_version() const noexcept override { return version.load(std::memory_order_relaxed); }
  engine::MemoryInfo info() const override { return {}; }

  bool contains(const void* memory) const { return memory >= base_ && memory < base_ + bytes_; }

  bool outside = false;
  std::atomic<std::uint64_t> version{1};
  std::atomic<std::uint64_t> id{1};       ///< of the chunk
  std::vector<engine::MemoryChunk> more;  ///< further chunks, which nothing is given out from

 private:
  std::size_t bytes_;
  std::byte* base_;
  std::mutex mutex_;
  std::size_t used_ = 0;
  std::size_t alive_ = 0;
};

class TestEngine final : public engine::Engine {
 public:
  TestEngine() { install(this); }
  ~TestEngine() override { install(nullptr); }
  std::string_view name() const noexcept override { return "test"; }
  std::string version() const override { return "test"; }
  const engine::Capabilities& capabilities() const noexcept override { return capabilities_; }
  TestMemory& memory() noexcept override { return memory_; }
  engine::ReactorService& reactors() noexcept override { std::abort(); }
  Registry& bdevs() noexcept override { return bdevs_; }

 private:
  engine::Capabilities capabilities_;
  TestMemory memory_{64 << 20};
  Registry bdevs_;
};

}  // namespace spdkio::bdev::file::test
