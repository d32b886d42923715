// One queue of I/O on one device from one Thread: keeps it full and counts.
#pragma once

#include "spdkio/bench/random.hpp"
#include "spdkio/bench/workload.hpp"

#include <spdkio/base/latency_histogram.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/task.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spdkio::tool {

enum class LatencyMode {
  off,      ///< no clock is read
  sampled,  ///< as many operations as cost next to nothing
  all,      ///< every operation
};

struct IoWorkerPlan {
  const BdevDesc* device = nullptr;  ///< outlives the worker
  Workload workload;
  std::uint32_t queue_depth = 1;
  std::uint32_t blocks_per_io = 1;
  /// The part of the device that is used, in I/O sizes.
  std::uint64_t first_unit = 0;
  std::uint64_t num_units = 0;
  std::uint32_t read_percent = 100;  ///< for workloads that do both
  bool verify = false;
  std::uint64_t run_id = 0;  ///< tells the patterns of this run from those of others
  std::uint64_t seed = 0;
  std::uint64_t max_ios = 0;  ///< 0: no limit
  double ios_per_second = 0;  ///< 0: no limit
  LatencyMode latency = LatencyMode::sampled;
  bool stop_on_error = true;
};

struct IoCounts {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t errors = 0;
  std::uint64_t verify_errors = 0;
};

/// What was counted since the start of the measurement, at one moment.
struct IoMoment {
  std::uint64_t ticks = 0;
  IoCounts counts;
  std::uint64_t cpu_ns = 0;  ///< of the OS thread
};

struct IoSnapshot {
  IoMoment moment;
  LatencyHistogram read_ticks;
  LatencyHistogram write_ticks;
};

/// `run` and everything else but `live` belong to the Thread that runs it; others go there with ThreadHandle::call.
/// Requests are reused and complete by callback: the loop that submits costs a few nanoseconds per I/O and allocates
/// nothing.
class IoWorker {
 public:
  explicit IoWorker(IoWorkerPlan plan);
  IoWorker(const IoWorker&) = delete;
  IoWorker& operator=(const IoWorker&) = delete;

  /// Opens a channel, submits until `stop`, the limit or an error, and waits for what is in flight. Throws Error when
  /// it cannot start; I/O errors are counted.
  Task<> run();
  /// After `run`: reads back everything that was written with a pattern. `stop` ends it early.
  Task<> read_back();

  /// Forgets what was counted so far and starts the measured time.
  void begin_measuring();
  /// Ends the measured time; nothing new is submitted.
  void stop() noexcept;
  /// The counts stand still once the measured time has ended; the histograms still take in what was in flight then.
  IoSnapshot snapshot() const { return {final_ ? *final_ : moment(), read_ticks_, write_ticks_}; }
  /// Counts of now, also after the end: those of `read_back` too.
  const IoCounts& counts() const { return counts_; }
  std::uint64_t start_ticks() const { return start_ticks_; }
  const std::string& first_error() const { return first_error_; }
  const IoWorkerPlan& plan() const { return plan_; }

  /// Completed operations since the beginning; any OS thread, approximate.
  std::uint64_t live_ios() const { return live_ios_.load(std::memory_order_relaxed); }
  std::uint64_t live_errors() const { return live_errors_.load(std::memory_order_relaxed); }

 private:
  struct Slot : bdev::Io {
    IoWorker* worker = nullptr;
    DmaSpan buffer;
    std::uint64_t started = 0;  // ticks; 0: not timed
    std::uint64_t unit = 0;
    std::uint32_t generation = 0;
    Slot* next_ready = nullptr;
  };

  Task<> drain();
  PollResult poll() noexcept;
  std::size_t pump(std::size_t most) noexcept;
  std::size_t submission_allowance(std::size_t most) noexcept;
  bool prepare(Slot& slot) noexcept;
  bool prepare_verified(Slot& slot, std::uint64_t draw) noexcept;
  bool prepare_read_back(Slot& slot) noexcept;
  std::uint64_t next_unit(std::uint64_t draw) noexcept;
  void completed(Slot& slot) noexcept;
  void check_data(const Slot& slot) noexcept;
  void note_error(std::string text) noexcept;
  void end_if_drained() noexcept;
  IoMoment moment() const noexcept;
  void calibrate_sampling() noexcept;
  static void on_complete(bdev::Io& io) noexcept;

  void push_ready(Slot& slot) noexcept {
    slot.next_ready = nullptr;
    *ready_tail_ = &slot;
    ready_tail_ = &slot.next_ready;
  }
  Slot& pop_ready() noexcept {
    Slot& slot = *ready_head_;
    ready_head_ = slot.next_ready;
    if (ready_head_ == nullptr) ready_tail_ = &ready_head_;
    return slot;
  }
  bool is_busy(std::uint64_t unit) const { return (busy_[unit / 64] >> unit % 64 & 1) != 0; }
  void flip_busy(std::uint64_t unit) { busy_[unit / 64] ^= std::uint64_t{1} << unit % 64; }

  IoWorkerPlan plan_;
  bdev::ChannelSlot* target_ = nullptr;
  Random random_;
  Slot* ready_head_ = nullptr;
  Slot** ready_tail_ = &ready_head_;
  std::uint64_t cursor_ = 0;
  std::uint64_t read_threshold_ = 0;  // of 65536
  std::uint32_t sample_period_ = 1;
  std::uint32_t until_sample_ = 1;
  bool pumping_ = false;
  bool running_ = false;
  bool reading_back_ = false;
  std::uint64_t in_flight_ = 0;
  std::uint64_t submitted_ = 0;
  std::uint64_t paced_ = 0;  // of those, how many count for the rate limit
  IoCounts counts_;
  std::atomic<std::uint64_t> live_ios_{0};
  std::atomic<std::uint64_t> live_errors_{0};
  LatencyHistogram read_ticks_;
  LatencyHistogram write_ticks_;

  // Rarely.
  std::vector<std::uint32_t> generations_;  // how often each unit was written; 0: not, or not known what it holds
  std::vector<std::uint64_t> busy_;         // units with an operation in flight
  std::vector<Slot> slots_;
  DmaBuf memory_;
  IoChannel channel_;
  Event drained_;
  std::optional<Poller> poller_;  // paused while everything is in flight
  std::uint64_t start_ticks_ = 0;
  std::uint64_t run_ticks_ = 0;
  std::uint64_t cpu_start_ns_ = 0;
  bool calibrated_ = false;
  std::optional<IoMoment> final_;
  std::string first_error_;
};

}  // namespace spdkio::tool
