// Bdev: a registered block device, looked at without opening it.
#pragma once

#include <spdkio/bdev/device_state.hpp>
#include <spdkio/runtime/task.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio {

/// A small copyable handle; any OS thread. It stays valid after the device was removed: `removed()` then says so.
class Bdev {
 public:
  explicit Bdev(std::shared_ptr<bdev::DeviceState> state) noexcept : state_(std::move(state)) {}
  /// By name or alias.
  static std::optional<Bdev> find(std::string_view name);
  /// All, in the order of registration.
  static std::vector<Bdev> all();

  const std::string& name() const { return state_->name(); }
  std::vector<std::string> aliases() const { return state_->aliases(); }
  const std::string& product_name() const { return state_->product_name(); }
  const Uuid& uuid() const { return state_->uuid(); }
  const bdev::Geometry& geometry() const { return state_->geometry(); }
  std::uint32_t block_size() const { return state_->geometry().block_size; }
  BlockCount num_blocks() const { return state_->num_blocks(); }
  ByteCount size() const { return ByteCount{state_->num_blocks().value * block_size()}; }
  bool supports(bdev::IoType type) const { return state_->supports(type); }
  bool removed() const { return state_->removed(); }
  bdev::ClaimInfo claim() const { return state_->claim_info(); }

  /// Counters summed over all Threads; asks each, so it is awaited.
  Task<bdev::Stats> stats() const { return state_->stats(); }
  Task<> reset_stats() const { return state_->reset_stats(); }
  /// From then on every operation is timed; `bucket_shift` sets the resolution, as in SPDK.
  Task<> enable_histogram(bool enable, std::uint32_t bucket_shift = 7) const {
    return state_->enable_histogram(enable, bucket_shift);
  }
  Task<LatencyHistogram> histogram() const { return state_->histogram(); }

  const std::shared_ptr<bdev::DeviceState>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<bdev::DeviceState> state_;
};

}  // namespace spdkio
