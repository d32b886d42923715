#include "engine/pool_state.hpp"

#include <spdkio/base/log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <new>
#include <utility>

#include "engine/memory_poison.hpp"

namespace spdkio::detail {

PoolState::Cache::Cache(std::weak_ptr<PoolState> pool, std::size_t most)
    : owner(std::move(pool)), capacity(most), items(std::make_unique<std::byte*[]>(most)) {}

void PoolState::Cache::os_thread_ended() noexcept {
  if (const auto pool = owner.lock()) pool->end_cache(*this);
}

PoolState* PoolState::create(DmaPoolOptions options) {
  const auto refuse = [&](Error error) -> Error { return error.with_operation("DmaPool").with_device(options.name); };
  if (options.count == 0) throw refuse(Error(Misuse::invalid_argument, "a count of zero"));
  if (options.buf_size == 0) throw refuse(Error(Misuse::invalid_argument, "a buffer size of zero"));
  if (!std::has_single_bit(options.alignment)) {
    throw refuse(Error(Misuse::invalid_argument,
                       fmt::format("an alignment of {}, which is no power of two", options.alignment)));
  }
  constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max();
  const std::size_t unit = std::max<std::size_t>(options.alignment, 64);  // two buffers never share a cache line
  if (options.buf_size > most - unit || (options.buf_size + unit) > most / options.count) {
    throw refuse(
        Error(std::errc::not_enough_memory, fmt::format("{} buffers of {} bytes", options.count, options.buf_size)));
  }
  const std::size_t stride = (options.buf_size + unit - 1) / unit * unit;
  auto memory = DmaBuf::allocate(stride * options.count,
                                 {.alignment = options.alignment, .zeroed = false, .numa_node = options.numa_node});
  if (!memory) throw memory.error().with_context(fmt::format("making the pool '{}'", options.name));

  const std::shared_ptr<PoolState> state{new PoolState(std::move(options), *std::move(memory), stride)};
  state->self_ = state;
  return state.get();
}

PoolState::PoolState(DmaPoolOptions options, DmaBuf memory, std::size_t stride)
    : options_(std::move(options)), memory_(std::move(memory)) {
  stock_.reserve(options_.count);
  for (std::size_t i = options_.count; i-- > 0;) stock_.push_back(memory_.data() + i * stride);
  engine::poison(memory_.data(), memory_.size());
}

PoolState::~PoolState() { engine::unpoison(memory_.data(), memory_.size()); }

std::byte* PoolState::try_take() noexcept {
  if (waiters_.load(std::memory_order_relaxed) != 0) return nullptr;
  Cache* cache = my_cache();
  std::byte* data = nullptr;
  if (cache != nullptr) {
    const std::lock_guard lock(*cache);
    if (cache->count != 0) data = cache->items[--cache->count];
  }
  if (data == nullptr) data = take_from_stock(cache);
  if (data != nullptr) engine::unpoison(data, options_.buf_size);
  return data;
}

std::byte* PoolState::take_from_stock(Cache* cache) noexcept {
  std::array<std::byte*, most_moved> more;
  std::size_t moved = 0;
  std::byte* data = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (first_waiter_ != nullptr) return nullptr;
    if (stock_.empty()) steal();
    if (stock_.empty()) return nullptr;
    data = stock_.back();
    stock_.pop_back();
    if (cache != nullptr) {
      moved = std::min({stock_.size(), more.size(), cache->capacity / 2});
      std::copy(stock_.end() - static_cast<std::ptrdiff_t>(moved), stock_.end(), more.begin());
      stock_.resize(stock_.size() - moved);
    }
  }
  if (moved != 0) put(cache, {more.data(), moved});
  return data;
}

void PoolState::give(std::byte* data) noexcept {
  engine::poison(data, options_.buf_size);
  put(my_cache(), {&data, 1});
}

// The waiter announces itself before it looks into the caches, and here the announcement is read with the cache locked:
// so either it finds the buffer in the cache, or this sees that somebody waits.
void PoolState::put(Cache* cache, std::span<std::byte* const> items) noexcept {
  std::array<std::byte*, most_moved> overflow;
  std::size_t moved = 0;
  bool kept = false;
  if (cache != nullptr) {
    const std::lock_guard lock(*cache);
    if (cache->attached() && waiters_.load(std::memory_order_relaxed) == 0) {
      if (cache->capacity - cache->count < items.size()) {
        moved = std::min(std::max(cache->capacity / 2, items.size()), overflow.size());
        cache->count -= moved;
        std::copy_n(cache->items.get() + cache->count, moved, overflow.begin());
      }
      std::ranges::copy(items, cache->items.get() + cache->count);
      cache->count += items.size();
      kept = true;
    }
  }
  if (!kept) give_to_stock(items);
  if (moved != 0) give_to_stock({overflow.data(), moved});
}

void PoolState::give_to_stock(std::span<std::byte* const> items) noexcept {
  std::shared_ptr<PoolState> last;  // dies after the lock
  PoolTake* woken = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stock_.insert(stock_.end(), items.begin(), items.end());
    woken = serve();
    if (closed_ && stock_.size() == options_.count) last = std::move(self_);
  }
  deliver(woken);
}

PoolState::Cache* PoolState::my_cache() noexcept {
  if (auto* known = engine::os_thread_cache(id_)) [[likely]]
    return static_cast<Cache*>(known);
  if (options_.cache_size == 0) return nullptr;
  try {
    auto cache = std::make_shared<Cache>(weak_from_this(), std::min(options_.cache_size, options_.count));
    const std::lock_guard lock(mutex_);
    if (closed_) return nullptr;
    caches_.push_back(cache);
    if (engine::add_os_thread_cache(id_, cache)) return cache.get();
    caches_.pop_back();
  } catch (const std::bad_alloc&) {
  }
  return nullptr;
}

void PoolState::end_cache(Cache& cache) noexcept {
  std::shared_ptr<PoolState> last;
  PoolTake* woken = nullptr;
  {
    const std::lock_guard lock(mutex_);
    drain(cache);
    std::erase_if(caches_, [&](const auto& known) { return known.get() == &cache; });
    woken = serve();
    if (closed_ && stock_.size() == options_.count) last = std::move(self_);
  }
  deliver(woken);
}

void PoolState::drain(Cache& cache) noexcept {
  const std::lock_guard lock(cache);
  stock_.insert(stock_.end(), cache.items.get(), cache.items.get() + cache.count);
  cache.count = 0;
  cache.detach();
}

void PoolState::steal() noexcept {
  for (const auto& cache : caches_) {
    const std::lock_guard lock(*cache);
    if (cache->count == 0) continue;
    const std::size_t left = cache->count / 2;
    stock_.insert(stock_.end(), cache->items.get() + left, cache->items.get() + cache->count);
    cache->count = left;
    return;
  }
}

void PoolState::enqueue(PoolTake& waiter) noexcept {
  waiter.queued_ = true;
  waiter.previous_ = last_waiter_;
  waiter.next_ = nullptr;
  (last_waiter_ != nullptr ? last_waiter_->next_ : first_waiter_) = &waiter;
  last_waiter_ = &waiter;
  waiters_.fetch_add(1, std::memory_order_relaxed);
}

void PoolState::dequeue(PoolTake& waiter) noexcept {
  waiter.queued_ = false;
  (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_waiter_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->previous_ : last_waiter_) = waiter.previous_;
  waiter.next_ = nullptr;
  waiters_.fetch_sub(1, std::memory_order_relaxed);
}

void PoolState::wait(PoolTake& waiter) noexcept {
  PoolTake* woken = nullptr;
  {
    const std::lock_guard lock(mutex_);
    enqueue(waiter);
    woken = serve();
  }
  deliver(woken);
}

bool PoolState::cancel(PoolTake& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  if (!waiter.queued_) return false;
  dequeue(waiter);
  return true;
}

/// Gives buffers to the first waiters and returns those as a list, to be delivered to without the lock.
PoolTake* PoolState::serve() noexcept {
  PoolTake* first = nullptr;
  PoolTake** tail = &first;
  while (first_waiter_ != nullptr) {
    if (stock_.empty()) steal();
    if (stock_.empty()) break;
    PoolTake& waiter = *first_waiter_;
    dequeue(waiter);
    waiter.data_ = stock_.back();
    stock_.pop_back();
    engine::unpoison(waiter.data_, options_.buf_size);
    *tail = &waiter;
    tail = &waiter.next_;
  }
  return first;
}

void PoolState::deliver(PoolTake* first) noexcept {
  while (first != nullptr) {
    PoolTake& waiter = *first;
    first = waiter.next_;
    if (!waiter.deliver()) waiter.abandon();
  }
}

void PoolState::close() noexcept {
  std::shared_ptr<PoolState> last;
  PoolTake* waiting = nullptr;
  std::size_t out = 0;
  std::size_t waiters = 0;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& cache : caches_) drain(*cache);
    caches_.clear();
    PoolTake** tail = &waiting;
    while (first_waiter_ != nullptr) {
      PoolTake& waiter = *first_waiter_;
      dequeue(waiter);
      waiter.end_ = PoolTake::End::pool_destroyed;
      *tail = &waiter;
      tail = &waiter.next_;
      ++waiters;
    }
    out = options_.count - stock_.size();
    last = out == 0 ? std::move(self_) : self_;
  }
  if (waiters != 0) log::critical("pool '{}' was destroyed while {} task(s) wait on it", options_.name, waiters);
  if (out != 0) {
    log::error(
        "pool '{}' was destroyed while {} of its {} buffers are out; their memory stays until they are given back",
        options_.name, out, options_.count);
  }
  deliver(waiting);
}

DmaPoolStats PoolState::stats() {
  const std::lock_guard lock(mutex_);
  DmaPoolStats stats{.count = options_.count, .waiters = waiters_.load(std::memory_order_relaxed)};
  for (const auto& cache : caches_) {
    const std::lock_guard cache_lock(*cache);
    stats.cached += cache->count;
  }
  stats.in_use = options_.count - stock_.size() - stats.cached;
  return stats;
}

}  // namespace spdkio::detail
