#include "bdev_modules/file/registered_buffers.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/engine/engine.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace spdkio::bdev::file {
namespace {

/// 16 GiB of windows, and 1024 for kernels that know no more.
constexpr unsigned table_sizes[] = {4096, 1024};

}  // namespace

RegisteredBuffers::RegisteredBuffers(io_uring& ring) : ring_(ring) {
  auto* engine = engine::Engine::current_or_null();
  if (engine == nullptr) return;
  for (const unsigned size : table_sizes) {
    if (io_uring_register_buffers_sparse(&ring_, size) != 0) continue;
    state_.resize(size, State::unused);
    memory_ = &engine->memory();
    version_ = ~memory_->chunks_version();  // not read yet
    return;
  }
}

bool RegisteredBuffers::refresh() noexcept {
  try {
    const std::uint64_t version = memory_->chunks_version();
    const auto present = memory_->chunks();
    chunks_.reserve(chunks_.size() + present.size());
    std::erase_if(chunks_, [&](const Chunk& chunk) {
      const auto same = std::ranges::find(present, chunk.id, &engine::MemoryChunk::id);
      const bool stays = same != present.end() && reinterpret_cast<std::uintptr_t>(same->base) == chunk.base &&
                         same->size == chunk.size;
      if (!stays) forget(chunk);
      return !stays;
    });
    for (const auto& chunk : present) {
      if (chunk.base == nullptr || chunk.size == 0 || std::ranges::find(chunks_, chunk.id, &Chunk::id) != chunks_.end())
        continue;
      Chunk added{.base = reinterpret_cast<std::uintptr_t>(chunk.base), .size = chunk.size, .id = chunk.id};
      added.first_window = unused_windows(added.windows());
      if (added.first_window == state_.size()) continue;  // the kernel's table is full
      chunks_.push_back(added);
    }
    std::ranges::sort(chunks_, {}, &Chunk::base);
    last_ = {};
    version_ = version;
    return true;
  } catch (...) {
    return false;
  }
}

/// What was pinned for a chunk that has gone says nothing about other memory at its address.
void RegisteredBuffers::forget(const Chunk& chunk) noexcept {
  for (std::size_t i = chunk.first_window; i < chunk.first_window + chunk.windows(); ++i) {
    if (state_[i] == State::pinned) {
      const iovec none{};
      const __u64 tag = 0;
      io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(i), &none, &tag, 1);
      --pinned_;
    }
    state_[i] = State::unused;
  }
}

std::size_t RegisteredBuffers::unused_windows(std::size_t count) const {
  std::vector<std::pair<std::size_t, std::size_t>> taken;
  taken.reserve(chunks_.size() + 1);
  for (const Chunk& chunk : chunks_) taken.emplace_back(chunk.first_window, chunk.windows());
  std::ranges::sort(taken);
  taken.emplace_back(state_.size(), 0);
  std::size_t first = 0;
  for (const auto& [start, length] : taken) {
    if (start - first >= count) return first;
    first = start + length;
  }
  return state_.size();
}

bool RegisteredBuffers::find_chunk(std::uintptr_t address) noexcept {
  auto after = std::ranges::upper_bound(chunks_, address, {}, &Chunk::base);
  if (after == chunks_.begin()) return false;
  const Chunk& chunk = *--after;
  if (address - chunk.base >= chunk.size) return false;
  last_ = chunk;
  return true;
}

bool RegisteredBuffers::pin(std::size_t number, const Chunk& chunk, std::size_t window) noexcept {
  if (state_[number] == State::refused) return false;
  const std::size_t offset = window * window_bytes;
  const iovec memory{reinterpret_cast<void*>(chunk.base + offset), std::min(window_bytes, chunk.size - offset)};
  const __u64 tag = 0;
  const int result = io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(number), &memory, &tag, 1);
  if (result == 1) {
    state_[number] = State::pinned;
    ++pinned_;
    return true;
  }
  state_[number] = State::refused;
  if (result == -ENOMEM || result == -EPERM) {
    static std::atomic<bool> said{false};
    if (!said.exchange(true)) {
      log::warn(
          "file I/O goes on without more pinned buffers after {} MiB: {}; raise the limit of locked memory (ulimit -l) "
          "for "
          "less CPU per I/O",
          pinned_ * window_bytes >> 20, std::generic_category().message(-result));
    }
    disable();
  }
  return false;
}

/// Pins nothing more; what is pinned stays in use until the memory changes.
void RegisteredBuffers::disable() noexcept {
  for (State& state : state_) {
    if (state == State::unused) state = State::refused;
  }
  if (pinned_ == 0) memory_ = nullptr;
}

}  // namespace spdkio::bdev::file
