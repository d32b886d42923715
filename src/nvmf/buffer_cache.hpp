// BufferCache: the data buffers of one Thread. Taking and giving back is a few instructions; what is not there is
// waited for in order.
#pragma once

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace spdkio::nvmf {

/// Who waits for a buffer; lives in a request or a connection.
struct BufferWaiter {
  std::size_t wanted_bytes = 0;
  BufferWaiter* next_waiter = nullptr;
  bool waiting = false;
  /// A buffer of the wanted size is free now, for the first that asks.
  void (*buffer_free)(BufferWaiter&) noexcept = nullptr;
};

/// A buffer taken from a cache; goes back by `BufferCache::give`.
struct Buffer {
  std::byte* data = nullptr;
  std::uint32_t size_class = 0;
  explicit operator bool() const noexcept { return data != nullptr; }
};

/// Sizes are rounded up to 4 KiB, 16 KiB, or the largest. Memory is taken from the engine in slabs as it is first
/// needed, up to a limit, and kept. There is always a slab of the largest size, so that every request gets its turn.
class BufferCache {
 public:
  /// `largest` is a multiple of 4096. Throws Error when there is no memory for the first slab.
  BufferCache(std::size_t largest, std::size_t limit_bytes);
  BufferCache(const BufferCache&) = delete;
  BufferCache& operator=(const BufferCache&) = delete;
  /// Every buffer was given back, and nobody waits.
  ~BufferCache();

  std::size_t largest() const noexcept { return sizes_.back(); }
  /// Empty when there is none, or others have waited for longer. `bytes` is at most `largest`.
  Buffer take(std::size_t bytes) noexcept {
    if (first_waiter_ != nullptr && !serving_) [[unlikely]]
      return {};
    return take_free(bytes);
  }
  void give(Buffer buffer) noexcept;
  /// After a `take` that gave nothing.
  void wait(BufferWaiter& waiter, std::size_t bytes) noexcept;
  void stop_waiting(BufferWaiter& waiter) noexcept;

  std::size_t reserved_bytes() const noexcept { return slabs_.size() * slab_bytes_; }
  std::uint64_t waits() const noexcept { return waits_; }

 private:
  static constexpr std::size_t classes = 3;
  struct FreeNode {
    FreeNode* next;
  };
  struct ServeWaiters : detail::Deferred {
    BufferCache* cache = nullptr;
  };

  Buffer take_free(std::size_t bytes) noexcept;
  bool add_slab(std::size_t size_class) noexcept;
  std::size_t serve() noexcept;

  std::array<std::size_t, classes> sizes_;
  std::array<FreeNode*, classes> free_{};
  std::size_t slab_bytes_;
  std::size_t limit_bytes_;
  std::vector<DmaBuf> slabs_;
  BufferWaiter* first_waiter_ = nullptr;
  BufferWaiter** last_waiter_ = &first_waiter_;
  bool serving_ = false;
  std::uint64_t waits_ = 0;
  std::size_t taken_ = 0;
  ServeWaiters serve_later_;
};

}  // namespace spdkio::nvmf
