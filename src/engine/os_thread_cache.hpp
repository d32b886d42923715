// What an OS thread keeps of a shared stock, so that taking and giving touches nothing that other threads touch.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

namespace spdkio::engine {

/// One OS thread's part of one stock. The thread locks its own cache around every use, which nobody disputes: one
/// exchange in a cache line of its own. Others lock it only to take away what it holds, when the stock is empty or
/// ends. It is a leaf: no other lock is taken, and nothing is called, while it is held.
class alignas(64) OsThreadCache {
 public:
  OsThreadCache() = default;
  OsThreadCache(const OsThreadCache&) = delete;
  OsThreadCache& operator=(const OsThreadCache&) = delete;
  virtual ~OsThreadCache() = default;

  void lock() noexcept {
    while (busy_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() noexcept { busy_.store(false, std::memory_order_release); }

  /// False, for good, once the stock took everything back. Only with the lock held does true mean anything.
  bool attached() const noexcept { return attached_.load(std::memory_order_relaxed); }
  void detach() noexcept { attached_.store(false, std::memory_order_relaxed); }

  /// On the OS thread that ends: gives everything back and detaches.
  virtual void os_thread_ended() noexcept = 0;

 private:
  std::atomic<bool> busy_{false};
  std::atomic<bool> attached_{true};
};

/// Names a stock for the life of the process.
enum class StockId : std::uint64_t {};
StockId next_stock_id() noexcept;

namespace detail {

struct RecentCache {
  StockId stock{};
  OsThreadCache* cache = nullptr;
};
// No destructor: what is freed late in the life of an OS thread still looks here.
inline constinit thread_local std::array<RecentCache, 32> recent_caches{};

OsThreadCache* look_up_cache(StockId stock) noexcept;

}  // namespace detail

/// The calling OS thread's cache of a stock, or null. It may have been detached.
inline OsThreadCache* os_thread_cache(StockId stock) noexcept {
  const auto& recent = detail::recent_caches[static_cast<std::uint64_t>(stock) % detail::recent_caches.size()];
  if (recent.stock == stock) [[likely]]
    return recent.cache;
  return detail::look_up_cache(stock);
}

/// Makes `cache` the calling OS thread's for `stock`; it had none. False when the OS thread is ending or there is no
/// memory: it goes without.
bool add_os_thread_cache(StockId stock, std::shared_ptr<OsThreadCache> cache) noexcept;

}  // namespace spdkio::engine
