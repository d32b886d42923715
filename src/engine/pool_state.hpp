// The part of a DmaPool that stays as long as a buffer is out.
#pragma once

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/engine/dma_pool.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/os_thread_cache.hpp"

namespace spdkio::detail {

class PoolState : public std::enable_shared_from_this<PoolState> {
 public:
  /// Stays until `close` was called and every buffer is back. Throws Error.
  static PoolState* create(DmaPoolOptions options);
  ~PoolState();

  std::byte* try_take() noexcept;
  void give(std::byte* data) noexcept;
  PooledBuf wrap(std::byte* data) noexcept { return PooledBuf{*this, data, options_.buf_size}; }

  /// Queues the waiter; it may be delivered to before the call returns.
  void wait(PoolTake& waiter) noexcept;
  /// False when something is already on its way to it.
  bool cancel(PoolTake& waiter) noexcept;
  void give_to_stock(std::span<std::byte* const> items) noexcept;

  void close() noexcept;
  DmaPoolStats stats();
  const DmaPoolOptions& options() const noexcept { return options_; }

 private:
  struct Cache final : engine::OsThreadCache {
    Cache(std::weak_ptr<PoolState> pool, std::size_t most);
    void os_thread_ended() noexcept override;

    const std::weak_ptr<PoolState> owner;
    const std::size_t capacity;
    const std::unique_ptr<std::byte*[]> items;
    std::size_t count = 0;  // guarded by the lock, as are the items
  };
  static constexpr std::size_t most_moved = 64;

  PoolState(DmaPoolOptions options, DmaBuf memory, std::size_t stride);
  Cache* my_cache() noexcept;
  std::byte* take_from_stock(Cache* cache) noexcept;
  void put(Cache* cache, std::span<std::byte* const> items) noexcept;
  void end_cache(Cache& cache) noexcept;

  // With `mutex_` held.
  void steal() noexcept;
  void drain(Cache& cache) noexcept;
  void enqueue(PoolTake& waiter) noexcept;
  void dequeue(PoolTake& waiter) noexcept;
  PoolTake* serve() noexcept;
  void deliver(PoolTake* first) noexcept;

  const DmaPoolOptions options_;
  const engine::StockId id_ = engine::next_stock_id();
  DmaBuf memory_;

  // Written when a task starts or ends waiting, read with every take and give.
  alignas(64) std::atomic<std::size_t> waiters_{0};

  // Guards what follows. The lock of a cache may be taken inside.
  alignas(64) std::mutex mutex_;
  std::vector<std::byte*> stock_;
  std::vector<std::shared_ptr<Cache>> caches_;
  PoolTake* first_waiter_ = nullptr;
  PoolTake* last_waiter_ = nullptr;
  bool closed_ = false;
  std::shared_ptr<PoolState> self_;
};

}  // namespace spdkio::detail
