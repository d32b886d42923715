#include "bdev_modules/file/registered_buffers.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/engine/engine.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>

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

void RegisteredBuffers::refresh() noexcept {
  // A chunk at the same address may be other memory by now: what was pinned says nothing about it.
  for (std::size_t i = 0; i < state_.size(); ++i) {
    if (state_[i] == State::pinned) {
      const iovec none{};
      const __u64 tag = 0;
      io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(i), &none, &tag, 1);
    }
    state_[i] = State::unused;
  }
  pinned_ = 0;
  last_ = {};
  chunks_.clear();
  try {
    version_ = memory_->chunks_version();
    std::size_t windows = 0;
    for (const auto& chunk : memory_->chunks()) {
      if (chunk.base == nullptr || chunk.size == 0) continue;
      const std::size_t needed = (chunk.size + window_bytes - 1) / window_bytes;
      if (windows + needed > state_.size()) break;
      chunks_.push_back({reinterpret_cast<std::uintptr_t>(chunk.base), chunk.size, windows});
      windows += needed;
    }
    std::ranges::sort(chunks_, {}, &Chunk::base);
  } catch (...) {  // no memory for the list: go on without
    chunks_.clear();
    disable();
  }
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
