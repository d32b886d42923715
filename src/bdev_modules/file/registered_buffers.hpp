// RegisteredBuffers: DMA memory that the kernel has pinned for a ring, which saves pinning it for each request.
#pragma once

#include <spdkio/engine/memory.hpp>

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace spdkio::bdev::file {

/// Chunks of the engine's memory are pinned in windows, each when it is first used: nothing that no file I/O touches is
/// pinned, and no submit waits for gigabytes. A window keeps its number as long as its chunk is there, because requests
/// that wait for the kernel hold it. Belongs to the ring's Thread.
class RegisteredBuffers {
 public:
  explicit RegisteredBuffers(io_uring& ring);

  /// The number of the window that holds all of the buffer, or -1: use the address alone.
  int find(const std::byte* data, std::size_t bytes) noexcept {
    if (memory_ == nullptr) return -1;
    if (memory_->chunks_version() != version_) [[unlikely]] {
      if (!refresh()) return -1;
    }
    const auto address = reinterpret_cast<std::uintptr_t>(data);
    if (address - last_.base >= last_.size) [[unlikely]] {  // below the base it wraps
      if (!find_chunk(address)) return -1;
    }
    const std::size_t offset = address - last_.base;
    const std::size_t window = offset / window_bytes;
    const std::size_t end = offset + bytes;
    if (end > last_.size || (end - 1) / window_bytes != window) [[unlikely]]
      return -1;
    const std::size_t number = last_.first_window + window;
    if (state_[number] == State::pinned) [[likely]]
      return static_cast<int>(number);
    return pin(number, last_, window) ? static_cast<int>(number) : -1;
  }

  std::size_t pinned_windows() const noexcept { return pinned_; }
  static constexpr std::size_t window_bytes = 4 << 20;

 private:
  enum class State : std::uint8_t { unused, pinned, refused };
  struct Chunk {
    std::uintptr_t base = 0;
    std::size_t size = 0;
    std::uint64_t id = 0;
    std::size_t first_window = 0;
    std::size_t windows() const noexcept { return (size + window_bytes - 1) / window_bytes; }
  };
  /// False when there is no memory to do it; the next call tries again.
  bool refresh() noexcept;
  void forget(const Chunk& chunk) noexcept;
  /// The first of `count` windows in a row that belong to no chunk, or how many there are when there is no such row.
  std::size_t unused_windows(std::size_t count) const;
  bool find_chunk(std::uintptr_t address) noexcept;
  bool pin(std::size_t number, const Chunk& chunk, std::size_t window) noexcept;
  void disable() noexcept;

  io_uring& ring_;
  engine::MemoryService* memory_ = nullptr;  // null: nothing is registered
  std::uint64_t version_ = 0;
  Chunk last_;                 // the chunk of the last buffer
  std::vector<Chunk> chunks_;  // by address
  std::vector<State> state_;   // by window
  std::size_t pinned_ = 0;
};

}  // namespace spdkio::bdev::file
