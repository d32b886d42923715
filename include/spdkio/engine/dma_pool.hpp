// DmaPool: a fixed number of buffers of one size, taken and given back without the allocator.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/engine/memory.hpp>
#include <spdkio/runtime/promise.hpp>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace spdkio {

struct DmaPoolOptions {
  /// Shows in logs and errors.
  std::string name = "pool";
  std::size_t buf_size = 4096;   ///< bytes
  std::size_t count = 256;       ///< buffers; all of them are allocated at once
  std::size_t alignment = 4096;  ///< bytes, a power of two
  int numa_node = engine::any_numa_node;
  /// How many free buffers an OS thread keeps to itself; 0: none, every take and give goes to the common stock.
  std::size_t cache_size = 128;
};

struct DmaPoolStats {
  std::size_t count = 0;    ///< buffers in all
  std::size_t in_use = 0;   ///< of them taken and not given back
  std::size_t cached = 0;   ///< of them free, in the caches of OS threads
  std::size_t waiters = 0;  ///< tasks that wait for one
};

class DmaPool;

namespace detail {

class PoolState;

void give_back(PoolState& pool, std::byte* data) noexcept;

}  // namespace detail

/// A buffer of a pool, given back by the destructor: on any OS thread, also after the pool was destroyed. Move-only.
/// The content is whatever the last user left. Must not be destroyed while an operation uses it.
class [[nodiscard]] PooledBuf {
 public:
  PooledBuf() noexcept = default;
  PooledBuf(PooledBuf&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  PooledBuf& operator=(PooledBuf&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PooledBuf() { reset(); }

  /// False for an empty one: what `try_take` gives when all are out.
  explicit operator bool() const noexcept { return data_ != nullptr; }
  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  std::byte& operator[](std::size_t index) const noexcept { return data_[index]; }

  DmaSpan span() const noexcept { return DmaSpan::from_registered(data_, size_); }
  operator DmaSpan() const noexcept { return span(); }
  DmaSpan subspan(std::size_t offset, std::size_t count) const { return span().subspan(offset, count); }

  /// Gives it back now.
  void reset() noexcept {
    if (data_ == nullptr) return;
    size_ = 0;
    detail::give_back(*std::exchange(pool_, nullptr), std::exchange(data_, nullptr));
  }

 private:
  friend class detail::PoolState;
  PooledBuf(detail::PoolState& pool, std::byte* data, std::size_t size) noexcept
      : pool_(&pool), data_(data), size_(size) {}
  detail::PoolState* pool_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

/// `co_await pool.take()`. The waiter of a pool is its own queue node and the message that wakes its Thread.
class PoolTake final : private ReadyNode, private StopNode, private Message {
 public:
  explicit PoolTake(PoolState& pool) noexcept : StopNode(on_stop), pool_(&pool) {}
  PoolTake(const PoolTake& other) noexcept : ReadyNode(), StopNode(on_stop), Message(), pool_(other.pool_) {}
  ~PoolTake();

  bool await_ready() noexcept;
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    return suspend(waiting, promise_of(waiting));
  }
  PooledBuf await_resume();

 private:
  friend class PoolState;
  enum class End : unsigned char { none, stopped, pool_destroyed };

  bool suspend(std::coroutine_handle<> waiting, PromiseBase* promise);
  /// Hands over what was decided under the pool's lock; from any OS thread. False: the waiter's Thread has ended.
  bool deliver() noexcept;
  void finish() noexcept;
  void run() noexcept override { finish(); }
  void abandon() noexcept override;
  static void on_stop(StopNode& node) noexcept;

  PoolState* pool_;
  std::shared_ptr<PoolState> keep_;  // while it waits
  std::byte* data_ = nullptr;
  End end_ = End::none;
  bool queued_ = false;  // guarded by the pool's lock, as are the links
  PoolTake* previous_ = nullptr;
  PoolTake* next_ = nullptr;
  ThreadCore* core_ = nullptr;
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace detail

/// A fixed number of buffers of one size. Any OS thread may take and give back; each keeps some free buffers to itself,
/// so that taking and giving back in the steady state allocates nothing and waits for nobody. A buffer is given back
/// wherever it is destroyed.
///
/// Must outlive the tasks that wait on it. Destroyed while buffers are out, it says so in the log, and the memory stays
/// until the last of them comes back.
class DmaPool {
 public:
  /// Throws Error(not_enough_memory), Misuse::not_started without an Env, or Misuse::invalid_argument for a size or
  /// count of zero or an alignment that is no power of two.
  explicit DmaPool(DmaPoolOptions options = {});
  DmaPool(DmaPool&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  DmaPool& operator=(DmaPool&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~DmaPool();

  /// A free buffer wherever it lies, or an empty PooledBuf when all are out or somebody is waiting already.
  PooledBuf try_take() noexcept;
  /// `auto buf = co_await pool.take();` When all are out it waits until one is given back, on whatever Thread; waiters
  /// are served in the order of asking, and each resumes on its own Thread. A stop request ends the wait with
  /// Error(operation_canceled). Misuse::wrong_thread outside of a Thread.
  detail::PoolTake take() noexcept { return detail::PoolTake{*state_}; }

  std::size_t buf_size() const noexcept;
  std::size_t count() const noexcept;
  const std::string& name() const noexcept;
  /// A snapshot. Any OS thread; looks into the caches of all of them.
  DmaPoolStats stats() const;

 private:
  detail::PoolState* state_;
};

}  // namespace spdkio
