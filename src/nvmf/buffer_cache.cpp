#include "nvmf/buffer_cache.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace spdkio::nvmf {
namespace {

constexpr std::size_t smallest_slab = std::size_t{256} << 10;

}  // namespace

BufferCache::BufferCache(std::size_t largest, std::size_t limit_bytes)
    : sizes_{4096, 16384, largest}, slab_bytes_(std::max(smallest_slab, largest)), limit_bytes_(limit_bytes) {
  for (std::size_t& size : sizes_) size = std::min(size, largest);
  serve_later_.cache = this;
  serve_later_.run = [](detail::Deferred& work) noexcept { return static_cast<ServeWaiters&>(work).cache->serve(); };
  if (!add_slab(classes - 1)) {
    throw Error(std::errc::not_enough_memory, "no memory for the data buffers of a target's thread");
  }
}

BufferCache::~BufferCache() {
  if (taken_ != 0) log::critical("nvmf: {} data buffer(s) were not given back", taken_);
}

bool BufferCache::add_slab(std::size_t size_class) noexcept {
  if (!slabs_.empty() && reserved_bytes() + slab_bytes_ > limit_bytes_) return false;
  try {
    auto slab = DmaBuf::allocate(slab_bytes_, {.zeroed = false});
    if (!slab) return false;
    slabs_.push_back(std::move(*slab));
  } catch (const std::bad_alloc&) {
    return false;
  }
  const std::size_t size = sizes_[size_class];
  std::byte* const data = slabs_.back().data();
  for (std::size_t at = slab_bytes_ / size * size; at > 0; at -= size) {
    free_[size_class] = new (data + at - size) FreeNode{free_[size_class]};
  }
  return true;
}

Buffer BufferCache::take_free(std::size_t bytes) noexcept {
  std::size_t fitting = 0;
  while (fitting + 1 < classes && sizes_[fitting] < bytes) ++fitting;
  if (free_[fitting] == nullptr && !add_slab(fitting)) {
    std::size_t larger = fitting + 1;
    while (larger < classes && free_[larger] == nullptr) ++larger;
    if (larger >= classes) return {};
    fitting = larger;
  }
  FreeNode* const node = free_[fitting];
  free_[fitting] = node->next;
  ++taken_;
  return {.data = reinterpret_cast<std::byte*>(node), .size_class = static_cast<std::uint32_t>(fitting)};
}

void BufferCache::give(Buffer buffer) noexcept {
  --taken_;
  free_[buffer.size_class] = new (buffer.data) FreeNode{free_[buffer.size_class]};
  if (first_waiter_ != nullptr) [[unlikely]]
    detail::ThreadCore::current()->defer(serve_later_);
}

void BufferCache::wait(BufferWaiter& waiter, std::size_t bytes) noexcept {
  ++waits_;
  waiter.wanted_bytes = bytes;
  waiter.waiting = true;
  waiter.next_waiter = nullptr;
  *last_waiter_ = &waiter;
  last_waiter_ = &waiter.next_waiter;
}

void BufferCache::stop_waiting(BufferWaiter& waiter) noexcept {
  if (!waiter.waiting) return;
  BufferWaiter** link = &first_waiter_;
  while (*link != &waiter) link = &(*link)->next_waiter;
  *link = waiter.next_waiter;
  if (last_waiter_ == &waiter.next_waiter) last_waiter_ = link;
  waiter.waiting = false;
}

// One after the other, and only while the first gets what it wants: a large one must not be overtaken for ever.
std::size_t BufferCache::serve() noexcept {
  std::size_t served = 0;
  while (first_waiter_ != nullptr) {
    BufferWaiter& waiter = *first_waiter_;
    const Buffer probe = take_free(waiter.wanted_bytes);
    if (!probe) break;
    --taken_;
    free_[probe.size_class] = new (probe.data) FreeNode{free_[probe.size_class]};
    stop_waiting(waiter);
    serving_ = true;
    waiter.buffer_free(waiter);
    serving_ = false;
    ++served;
  }
  return served;
}

}  // namespace spdkio::nvmf
