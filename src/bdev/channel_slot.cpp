#include <spdkio/bdev/channel_slot.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/device_state.hpp>
#include <spdkio/runtime/thread.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace spdkio::bdev {
namespace {

/// What answers after the device has gone.
class RemovedChannel final : public Channel {
 public:
  void submit(Io& io) noexcept override { io.complete(IoStatus::system(ENODEV, Outcome::never_submitted)); }
};
RemovedChannel removed_channel;

/// How long a request that found no room waits at most for another to end: a module may have run out while nothing of
/// this Thread's is in flight.
constexpr std::chrono::milliseconds retry_period{1};

/// How many parked requests are submitted at once: each may end at once and its callback park the next behind it.
constexpr std::size_t requests_per_retry = 256;

constexpr std::uint32_t bit(IoType type) { return 1U << static_cast<std::uint32_t>(type); }
constexpr std::uint32_t transferring = bit(IoType::read) | bit(IoType::write) | bit(IoType::compare) |
                                       bit(IoType::compare_and_write) | bit(IoType::zone_append);

}  // namespace

ChannelSlot::ChannelSlot(std::shared_ptr<DeviceState> device, detail::ThreadCore& core)
    : num_blocks_(&device->num_blocks_),
      alignment_mask_(device->geometry().buffer_alignment - 1),
      block_size_(device->geometry().block_size),
      supported_(device->supported_),
      transfers_(transferring),
      core_(&core),
      device_(std::move(device)),
      module_channel_(device_->device()->make_channel()) {
  channel_ = module_channel_.get();
  retry_timer_.slot = this;
  retry_timer_.fire = [](detail::TimerNode& node) noexcept {
    ChannelSlot& slot = *static_cast<RetryTimer&>(node).slot;
    slot.submit_parked();
  };
  reaper_.slot = this;
  reaper_.run = [](detail::Deferred& work) noexcept -> std::size_t {
    ChannelSlot& slot = *static_cast<Reaper&>(work).slot;
    if (slot.references_ == 0 && slot.in_flight_ == 0) delete &slot;  // unless somebody took it up again
    return 1;
  };
  if (device_->histogram_enabled()) enable_histogram(true, device_->histogram_shift_);
  core_->add_reference();
}

ChannelSlot::~ChannelSlot() {
  if (retry_timer_.queued()) core_->cancel_timer(retry_timer_);
  module_channel_ = nullptr;
  device_->forget(*this);
  core_->drop_reference();
}

void ChannelSlot::abort(Io& io) noexcept {
  for (Io** link = &parked_head_; *link != nullptr; link = &(*link)->next) {
    if (*link != &io) continue;
    *link = io.next;
    if (*link == nullptr) parked_tail_ = link;
    finish(io, IoStatus::cancelled(Outcome::never_submitted));
    return;
  }
  channel_->abort(io);
}

void ChannelSlot::reset_stats() noexcept {
  stats_ = {};
  latencies_.reset();
}

void ChannelSlot::enable_histogram(bool enable, std::uint32_t bucket_shift) {
  if (enable) {
    histogram_ = std::make_unique<LatencyHistogram>(bucket_shift);
  } else {
    histogram_ = nullptr;
  }
  timing_period_ = enable ? 1 : timed_every;
  until_timed_ = timing_period_;
}

bool ChannelSlot::traced() const noexcept {
  const detail::TraceRing* const ring = core_->trace();
  return detail::observable && ring != nullptr && ring->wants(detail::TraceGroup::bdev);
}

void ChannelSlot::start_timing(Io& io) noexcept {
  timing_period_ = histogram_ != nullptr || traced() ? 1 : timed_every;
  until_timed_ = timing_period_;
  io.start_ticks_ = core_->read_clock();
}

void ChannelSlot::record_latency(Io& io) noexcept {
  const std::uint64_t latency = core_->read_clock() - io.start_ticks_;
  OpStats& stats = stats_[io.type];
  ++stats.timed_operations;
  stats.latency_ticks += latency;
  stats.min_latency_ticks = std::min(stats.min_latency_ticks, latency);
  stats.max_latency_ticks = std::max(stats.max_latency_ticks, latency);
  if constexpr (detail::observable) latencies_[io.type].record(latency);
  if (histogram_ != nullptr) histogram_->record(latency);
  if (traced()) [[unlikely]] {
    detail::TraceRing& ring = *core_->trace();
    ring.record({.begin_ticks = io.start_ticks_,
                 .duration_ticks = latency,
                 .name = to_string(io.type).data(),
                 .object = ring.keep(device_->name()),
                 .first = io.lba,
                 .second = io.blocks,
                 .group = detail::TraceGroup::bdev,
                 .overlaps = true});
  }
}

void ChannelSlot::park(Io& io) noexcept {
  if (&io == retried_) {  // the oldest stays the first
    retried_ = nullptr;
    refused_ = true;
    io.next = parked_head_;
    if (parked_head_ == nullptr) parked_tail_ = &io.next;
    parked_head_ = &io;
  } else {
    io.next = nullptr;
    *parked_tail_ = &io;
    parked_tail_ = &io.next;
  }
  attention_ = true;
  if (!retry_timer_.queued()) core_->add_timer(retry_timer_, retry_period);
}

/// Submits parked requests in order until one finds no room again. What waits stays in the list meanwhile: a completion
/// may abort it, or submit more, which goes behind.
void ChannelSlot::submit_parked() noexcept {
  if (retrying_) return;
  retrying_ = true;
  std::size_t count = 0;
  while (parked_head_ != nullptr && count++ < requests_per_retry) {
    Io& io = *parked_head_;
    parked_head_ = io.next;
    if (parked_head_ == nullptr) parked_tail_ = &parked_head_;
    retried_ = &io;
    refused_ = false;
    channel_->submit(io);
    retried_ = nullptr;
    if (refused_) break;
  }
  retrying_ = false;
  if (parked_head_ != nullptr && refused_) return;  // the timer that `park` set, or the next completion
  if (retry_timer_.queued()) core_->cancel_timer(retry_timer_);
  if (parked_head_ != nullptr) core_->add_timer(retry_timer_, std::chrono::microseconds{1});  // the next round
}

void ChannelSlot::finish_with_attention(Io& io, Io::OnComplete on_complete) noexcept {
  // What waits is looked at after the callback, which may close the last handle.
  ++references_;
  if (retried_ == &io) retried_ = nullptr;
  on_complete(io);
  if (parked_head_ != nullptr) {
    submit_parked();
  } else if (references_ > 1 && !idle_wanted_) {
    attention_ = false;
  }
  if (in_flight_ == 0) idle_.set();
  release();
}

void ChannelSlot::completed_twice(const Io& io) const noexcept {
  log::critical("the module of '{}' completed a {} twice; the second answer is ignored", device_->name(),
                to_string(io.type));
}

void ChannelSlot::drop_reference() noexcept {
  if (core_ == detail::ThreadCore::current()) {
    release();
    return;
  }
  ChannelSlot* self = this;
  const ThreadHandle home{core_->mailbox()};
  if (!home.send([self] { self->release(); })) {
    log::error("a channel to '{}' was closed after its thread '{}' had ended", device_->name(), home.name());
  }
}

void ChannelSlot::release() noexcept {
  if (--references_ > 0) return;
  if (in_flight_ > 0) {
    if (!attention_) {
      log::critical("the last channel of thread '{}' to '{}' was closed with {} request(s) in flight", core_->name(),
                    device_->name(), in_flight_);
    }
    attention_ = true;
    return;
  }
  if (finishing_ > 0) {
    core_->defer(reaper_);
    return;
  }
  delete this;
}

Task<> ChannelSlot::retire() {
  channel_ = &removed_channel;
  submit_parked();
  idle_wanted_ = true;
  if (module_channel_ != nullptr) module_channel_->device_removed();
  while (in_flight_ > 0) {
    attention_ = true;
    idle_.reset();
    co_await idle_.wait();
  }
  module_channel_ = nullptr;
}

}  // namespace spdkio::bdev
