// ChannelSlot: what the block layer keeps for one device on one Thread: the module's channel, counters, and requests
// that wait for room. Every I/O passes here, inline.
#pragma once

#include <spdkio/base/clock.hpp>
#include <spdkio/base/latency_histogram.hpp>
#include <spdkio/base/probe.hpp>
#include <spdkio/bdev/channel.hpp>
#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev/stats.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace spdkio::bdev {

class DeviceState;

class ChannelSlot {
 public:
  ChannelSlot(std::shared_ptr<DeviceState> device, detail::ThreadCore& core);
  ChannelSlot(const ChannelSlot&) = delete;
  ChannelSlot& operator=(const ChannelSlot&) = delete;

  /// Hands a checked request to the module. It ends through its `on_complete`, maybe before this returns.
  [[gnu::always_inline]] void submit(Io& io) noexcept {
    io.slot_ = this;
    ++in_flight_;
    SPDKIO_PROBE(bdev_submit, this, &io, static_cast<int>(io.type), io.lba, io.blocks);
    io.start_ticks_ = 0;
    if (--until_timed_ == 0) [[unlikely]]
      start_timing(io);
    if (parked_head_ != nullptr) [[unlikely]] {
      park(io);  // behind those that came first
      return;
    }
    channel_->submit(io);
  }
  /// A stop was requested for a request that is in flight here.
  void abort(Io& io) noexcept;

  /// Success when the request may be submitted; otherwise why not. `data_bytes` is the sum of its buffers.
  [[gnu::always_inline]] IoStatus check(const Io& io, std::uint64_t data_bytes) const noexcept {
    const auto index = static_cast<std::uint32_t>(io.type);
    if ((supported_ >> index & 1) == 0) [[unlikely]]
      return IoStatus::misuse(Misuse::not_supported);
    const std::uint64_t num_blocks = num_blocks_->load(std::memory_order_relaxed);
    if (io.blocks > num_blocks || io.lba > num_blocks - io.blocks) [[unlikely]] {
      return IoStatus::misuse(Misuse::out_of_range);
    }
    if ((transfers_ >> index & 1) != 0) {
      if (data_bytes != io.blocks * block_size_ || io.blocks == 0) [[unlikely]] {
        return IoStatus::misuse(io.blocks == 0 ? Misuse::out_of_range : Misuse::buffer_size);
      }
      auto address_bits = reinterpret_cast<std::uintptr_t>(io.iov[0].data());
      for (std::uint32_t i = 1; i < io.iov_count; ++i) {
        address_bits |= io.iov[i - 1].size() | reinterpret_cast<std::uintptr_t>(io.iov[i].data());
      }
      if ((address_bits & alignment_mask_) != 0) [[unlikely]]
        return IoStatus::misuse(Misuse::misaligned);
    } else if (io.blocks == 0 && takes_range(io.type)) [[unlikely]] {
      return IoStatus::misuse(Misuse::out_of_range);
    }
    return IoStatus::success();
  }

  detail::ThreadCore& core() const noexcept { return *core_; }
  DeviceState& device() const noexcept { return *device_; }
  const std::shared_ptr<DeviceState>& shared_device() const noexcept { return device_; }
  /// The module's channel, for the module itself; after a removal one that refuses everything.
  Channel& channel() const noexcept { return *channel_; }
  std::uint32_t block_size() const noexcept { return block_size_; }
  std::uint64_t in_flight() const noexcept { return in_flight_; }

  // ---- on the slot's Thread
  const Stats& stats() const noexcept { return stats_; }
  void reset_stats() noexcept;
  /// Latencies of the requests that were timed, in ticks: a sample, or all while a histogram or a trace is on.
  const Latencies& latencies() const noexcept { return latencies_; }
  /// Times every request into a histogram, or only a sample again.
  void enable_histogram(bool enable, std::uint32_t bucket_shift);
  const LatencyHistogram* histogram() const noexcept { return histogram_.get(); }
  void add_reference() noexcept { ++references_; }
  /// From any OS thread: the last one closes the channel, on its Thread.
  void drop_reference() noexcept;
  /// The device is going away: refuses new requests, awaits those in flight and destroys the module's channel.
  Task<> retire();

 private:
  friend class Io;
  ~ChannelSlot();
  /// Operations without data of their own that mean nothing on an empty range.
  static constexpr bool takes_range(IoType type) noexcept {
    return type == IoType::write_zeroes || type == IoType::unmap || type == IoType::copy;
  }
  void start_timing(Io& io) noexcept;
  bool traced() const noexcept;
  void record_latency(Io& io) noexcept;
  void park(Io& io) noexcept;
  void submit_parked() noexcept;
  void release() noexcept;

  void finish(Io& io, IoStatus status) noexcept {
    if (status.is_no_memory()) [[unlikely]] {
      park(io);
      return;
    }
    SPDKIO_PROBE(bdev_complete, this, &io, static_cast<int>(io.type), static_cast<int>(status.ok()));
    OpStats& stats = stats_[io.type];
    ++stats.operations;
    stats.bytes += io.blocks * block_size_;
    if (!status.ok()) [[unlikely]]
      ++stats.errors;
    if (io.start_ticks_ != 0) [[unlikely]]
      record_latency(io);
    io.status_ = status;
    const Io::OnComplete on_complete = io.on_complete_;
    if (on_complete == nullptr) [[unlikely]] {
      completed_twice(io);
      return;
    }
    io.on_complete_ = nullptr;
    --in_flight_;
    // The callback may close the last handle, but the module that called us still needs its channel.
    ++finishing_;
    if (attention_) [[unlikely]] {
      finish_with_attention(io, on_complete);
    } else {
      on_complete(io);
    }
    --finishing_;
  }
  void finish_with_attention(Io& io, Io::OnComplete on_complete) noexcept;
  void completed_twice(const Io& io) const noexcept;

  static constexpr std::uint32_t timed_every = 32;

  // Read on every I/O; fixed but for `channel_`.
  Channel* channel_;
  const std::atomic<std::uint64_t>* num_blocks_;
  std::uintptr_t alignment_mask_;
  std::uint32_t block_size_;
  std::uint32_t supported_;
  std::uint32_t transfers_;
  // Written on every I/O.
  std::uint32_t until_timed_ = timed_every;
  std::uint64_t in_flight_ = 0;
  std::uint32_t finishing_ = 0;
  bool attention_ = false;    ///< something waits for completions: parked requests, `retire`, or the last release
  bool idle_wanted_ = false;  ///< `retire` waits
  Io* parked_head_ = nullptr;
  Io** parked_tail_ = &parked_head_;
  Io* retried_ = nullptr;  ///< the parked request that is just being submitted again, until it finds no room
  bool retrying_ = false;
  bool refused_ = false;  ///< it found none
  Stats stats_;
  // Rarely.
  std::uint32_t timing_period_ = timed_every;
  std::size_t references_ = 0;
  detail::ThreadCore* core_;
  std::shared_ptr<DeviceState> device_;
  std::unique_ptr<Channel> module_channel_;
  std::unique_ptr<LatencyHistogram> histogram_;
  Latencies latencies_;
  Event idle_;
  struct RetryTimer : detail::TimerNode {
    ChannelSlot* slot = nullptr;
  } retry_timer_;
  struct Reaper : detail::Deferred {
    ChannelSlot* slot = nullptr;
  } reaper_;
};

inline void Io::complete(IoStatus status) noexcept { slot_->finish(*this, status); }

}  // namespace spdkio::bdev
