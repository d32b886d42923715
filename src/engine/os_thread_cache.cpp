#include "engine/os_thread_cache.hpp"

#include <new>
#include <unordered_map>
#include <utility>

namespace spdkio::engine {
namespace {

using Caches = std::unordered_map<StockId, std::shared_ptr<OsThreadCache>>;

constinit thread_local bool ending = false;
constinit thread_local Caches* caches = nullptr;

detail::RecentCache& recent_for(StockId stock) noexcept {
  return detail::recent_caches[static_cast<std::uint64_t>(stock) % detail::recent_caches.size()];
}

struct Ender {
  bool armed = false;
  ~Ender() {
    ending = true;
    detail::recent_caches = {};
    const std::unique_ptr<Caches> mine{std::exchange(caches, nullptr)};
    if (mine == nullptr) return;
    for (const auto& [stock, cache] : *mine) {
      if (cache->attached()) cache->os_thread_ended();
    }
  }
};
thread_local Ender ender;

}  // namespace

StockId next_stock_id() noexcept {
  static std::atomic<std::uint64_t> next{1};
  return StockId{next.fetch_add(1, std::memory_order_relaxed)};
}

OsThreadCache* detail::look_up_cache(StockId stock) noexcept {
  if (caches == nullptr) return nullptr;
  const auto found = caches->find(stock);
  if (found == caches->end()) return nullptr;
  recent_for(stock) = {stock, found->second.get()};
  return found->second.get();
}

bool add_os_thread_cache(StockId stock, std::shared_ptr<OsThreadCache> cache) noexcept {
  if (ending) return false;
  try {
    if (caches == nullptr) {
      caches = new Caches;
      ender.armed = true;  // first use registers the destructor
    }
    std::erase_if(*caches, [](const auto& entry) {
      if (entry.second->attached()) return false;
      if (auto& recent = recent_for(entry.first); recent.stock == entry.first) recent = {};
      return true;
    });
    caches->emplace(stock, std::move(cache));
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace spdkio::engine
