
#include "spdkio/bench/io_worker.hpp"

#include "spdkio/bench/verify_pattern.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace spdkio::tool {
namespace {

// Submissions between two looks at messages and timers: some microseconds with the fastest devices.
constexpr std::size_t round_length = 256;
// Random places to try before a queue that covers nearly all of a small device waits for completions.
constexpr int placement_attempts = 16;
// Time stamps per second that cannot be seen in the result: 100,000 of them take 0.2 % of a core.
constexpr double sampled_per_second = 100'000;
constexpr std::chrono::milliseconds calibration_time{10};
// Rates per second from which on every round of the reactor looks whether something is due.
constexpr double least_untimed_rate = 10'000;

std::uint64_t thread_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

IoWorker::IoWorker(IoWorkerPlan plan) : plan_(plan), random_(plan.seed) {
  const bool mixed = plan_.workload.reads && plan_.workload.writes;
  const std::uint64_t percent = mixed ? plan_.read_percent : plan_.workload.reads ? 100 : 0;
  read_threshold_ = percent * 65536 / 100;
}

Task<> IoWorker::run() {
  channel_ = plan_.device->io_channel();
  target_ = channel_.slot();
  const std::size_t io_bytes = std::size_t{plan_.blocks_per_io} * plan_.device->block_size();
  const std::size_t alignment = std::max<std::size_t>(4096, plan_.device->buffer_alignment());
  const std::size_t stride = (io_bytes + alignment - 1) / alignment * alignment;
  memory_ = DmaBuf{stride * plan_.queue_depth, {.alignment = alignment}};
  // What is written without a pattern should not be compressible into nothing.
  for (std::size_t at = 0; at + 8 <= memory_.size(); at += 8) {
    const std::uint64_t word = random_.next();
    std::copy_n(reinterpret_cast<const std::byte*>(&word), 8, memory_.data() + at);
  }
  if (plan_.verify) {
    generations_.assign(plan_.num_units, 0);
    busy_.assign(plan_.num_units / 64 + 1, 0);
  }
  slots_ = std::vector<Slot>(plan_.queue_depth);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.worker = this;
    slot.buffer = memory_.subspan(i * stride, io_bytes);
    slot.iov = &slot.buffer;
    slot.iov_count = 1;
    slot.blocks = plan_.blocks_per_io;
    push_ready(slot);
  }
  running_ = true;
  if (plan_.latency == LatencyMode::off) sample_period_ = until_sample_ = UINT32_MAX;
  run_ticks_ = ticks();
  begin_measuring();
  co_await drain();
}

Task<> IoWorker::read_back() {
  reading_back_ = true;
  running_ = true;
  cursor_ = 0;
  drained_.reset();
  co_await drain();
}

// Pumps until everything that was submitted has ended and nothing more is to be submitted.
Task<> IoWorker::drain() {
  PollerOptions options{.name = "bench"};
  // Slow rates are kept by a timer, so that the reactor sleeps in between.
  if (plan_.ios_per_second > 0 && plan_.ios_per_second < least_untimed_rate && !reading_back_) {
    options.period = std::chrono::nanoseconds{static_cast<std::int64_t>(1e9 / plan_.ios_per_second)};
  }
  poller_.emplace([this] { return poll(); }, options);
  if (options.period.count() != 0) poll();
  co_await drained_.wait();
  poller_.reset();
}

PollResult IoWorker::poll() noexcept {
  if (!calibrated_) calibrate_sampling();
  const std::size_t submitted = pump(round_length);
  end_if_drained();
  if (ready_head_ == nullptr) poller_->pause();
  return submitted != 0 ? PollResult::busy : PollResult::idle;
}

// How many may be submitted now, at most `most`, under the rate limit.
std::size_t IoWorker::submission_allowance(std::size_t most) noexcept {
  const double seconds = static_cast<double>(ticks() - run_ticks_) / static_cast<double>(ticks_per_second());
  const double due = seconds * plan_.ios_per_second + 1;
  // After a stall the device gets at most one queue's worth at once, not all that was missed.
  const double backlog = due - static_cast<double>(paced_);
  if (backlog > plan_.queue_depth) paced_ = static_cast<std::uint64_t>(due) - plan_.queue_depth;
  return backlog < 1 ? 0 : std::min(most, static_cast<std::size_t>(backlog));
}

std::size_t IoWorker::pump(std::size_t most) noexcept {
  if (plan_.ios_per_second > 0 && !reading_back_) most = submission_allowance(most);
  pumping_ = true;
  std::size_t count = 0;
  while (count < most && running_ && ready_head_ != nullptr) {
    Slot& slot = *ready_head_;
    if (!prepare(slot)) break;
    pop_ready();
    ++in_flight_;
    ++submitted_;
    ++paced_;
    ++count;
    slot.set_on_complete(on_complete);
    target_->submit(slot);
  }
  pumping_ = false;
  return count;
}

std::uint64_t IoWorker::next_unit(std::uint64_t draw) noexcept {
  if (plan_.workload.random) return Random::below(draw, plan_.num_units);
  const std::uint64_t unit = cursor_;
  cursor_ = cursor_ + 1 == plan_.num_units ? 0 : cursor_ + 1;
  return unit;
}

bool IoWorker::prepare(Slot& slot) noexcept {
  if (reading_back_) return prepare_read_back(slot);
  if (plan_.max_ios != 0 && submitted_ >= plan_.max_ios) [[unlikely]] {
    running_ = false;
    return false;
  }
  const std::uint64_t draw = random_.next();
  if (plan_.verify) {
    if (!prepare_verified(slot, draw)) return false;
  } else {
    slot.type = (draw & 0xFFFF) < read_threshold_ ? bdev::IoType::read : bdev::IoType::write;
    slot.lba = (plan_.first_unit + next_unit(draw)) * plan_.blocks_per_io;
  }
  if (--until_sample_ == 0) [[unlikely]] {
    until_sample_ = sample_period_;
    slot.started = ticks();
  } else {
    slot.started = 0;
  }
  return true;
}

// Two operations on the same blocks at once have no defined outcome, so a unit has at most one in flight.
bool IoWorker::prepare_verified(Slot& slot, std::uint64_t draw) noexcept {
  std::uint64_t unit = 0;
  int attempt = 0;
  for (; attempt < placement_attempts; ++attempt) {
    const std::uint64_t before = cursor_;
    unit = next_unit(attempt == 0 ? draw : random_.next());
    if (!is_busy(unit)) break;
    if (!plan_.workload.random) {
      cursor_ = before;
      return false;
    }
  }
  if (attempt == placement_attempts) return false;
  flip_busy(unit);
  slot.unit = unit;
  slot.lba = (plan_.first_unit + unit) * plan_.blocks_per_io;
  const bool wants_read = (draw & 0xFFFF) < read_threshold_;
  const bool can_write = plan_.workload.writes;
  slot.generation = generations_[unit];
  if ((wants_read && slot.generation != 0) || !can_write) {
    slot.type = bdev::IoType::read;
    return true;
  }
  slot.type = bdev::IoType::write;
  ++slot.generation;
  const std::uint32_t block_size = target_->block_size();
  for (std::uint32_t i = 0; i < plan_.blocks_per_io; ++i) {
    fill_pattern(slot.buffer.bytes().subspan(std::size_t{i} * block_size, block_size),
                 {plan_.run_id, slot.lba + i, slot.generation});
  }
  return true;
}

bool IoWorker::prepare_read_back(Slot& slot) noexcept {
  while (cursor_ < plan_.num_units && generations_[cursor_] == 0) ++cursor_;
  if (cursor_ == plan_.num_units) {
    running_ = false;
    return false;
  }
  slot.unit = cursor_++;
  slot.generation = generations_[slot.unit];
  slot.type = bdev::IoType::read;
  slot.lba = (plan_.first_unit + slot.unit) * plan_.blocks_per_io;
  slot.started = 0;
  flip_busy(slot.unit);
  return true;
}

void IoWorker::on_complete(bdev::Io& io) noexcept {
  auto& slot = static_cast<Slot&>(io);
  slot.worker->completed(slot);
}

void IoWorker::completed(Slot& slot) noexcept {
  --in_flight_;
  const bool read = slot.type == bdev::IoType::read;
  if (slot.status().ok()) [[likely]] {
    ++(read ? counts_.reads : counts_.writes);
    if (slot.started != 0) [[unlikely]]
      (read ? read_ticks_ : write_ticks_).record(ticks() - slot.started);
  } else {
    ++counts_.errors;
    live_errors_.fetch_add(1, std::memory_order_relaxed);
    try {
      const Error error = slot.status().to_error();
      const Error whole =
          error.with_operation(read ? "read" : "write").with_device(plan_.device->name()).with_range(slot.range());
      note_error(whole.what());
    } catch (const std::exception& error) {
      note_error(error.what());
    }
    if (plan_.stop_on_error) stop();
  }
  if (plan_.verify) {
    flip_busy(slot.unit);
    if (read && slot.status().ok() && slot.generation != 0) check_data(slot);
    // After a write that failed nobody knows what the blocks hold.
    if (!read) generations_[slot.unit] = slot.status().ok() ? slot.generation : 0;
  }
  live_ios_.store(live_ios_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  push_ready(slot);
  if (pumping_) return;
  // The device answered from its own poller: keep its queue full without waiting for ours.
  if (!calibrated_) [[unlikely]]
    calibrate_sampling();
  pump(1);
  if (ready_head_ != nullptr && poller_->paused()) poller_->resume();
  end_if_drained();
}

void IoWorker::check_data(const Slot& slot) noexcept {
  const std::uint32_t block_size = target_->block_size();
  for (std::uint32_t i = 0; i < plan_.blocks_per_io; ++i) {
    const auto block = slot.buffer.bytes().subspan(std::size_t{i} * block_size, block_size);
    const PatternId expected{plan_.run_id, slot.lba + i, slot.generation};
    if (matches_pattern(block, expected)) [[likely]]
      continue;
    ++counts_.verify_errors;
    live_errors_.fetch_add(1, std::memory_order_relaxed);
    note_error(explain_mismatch(block, expected));
    if (plan_.stop_on_error) stop();
  }
}

void IoWorker::note_error(std::string text) noexcept {
  if (first_error_.empty()) first_error_ = std::move(text);
}

void IoWorker::end_if_drained() noexcept {
  if (running_ || in_flight_ != 0) return;
  if (!final_) final_ = moment();
  drained_.set();
}

// Decides how many operations are timed, once it is known how fast they are.
void IoWorker::calibrate_sampling() noexcept {
  const std::uint64_t passed = ticks() - run_ticks_;
  if (passed < ticks_from(calibration_time)) return;
  calibrated_ = true;
  if (plan_.latency != LatencyMode::sampled) return;
  const double seconds = static_cast<double>(passed) / static_cast<double>(ticks_per_second());
  const double rate = static_cast<double>(live_ios()) / seconds;
  sample_period_ = static_cast<std::uint32_t>(std::clamp(rate / sampled_per_second, 1.0, 1e6));
  until_sample_ = std::min(until_sample_, sample_period_);
}

void IoWorker::begin_measuring() {
  counts_ = {};
  read_ticks_.reset();
  write_ticks_.reset();
  cpu_start_ns_ = thread_cpu_ns();
  start_ticks_ = ticks();
}

void IoWorker::stop() noexcept {
  if (!running_) return;
  running_ = false;
  if (!final_) final_ = moment();
  end_if_drained();
}

IoMoment IoWorker::moment() const noexcept {
  return {.ticks = ticks(), .counts = counts_, .cpu_ns = thread_cpu_ns() - cpu_start_ns_};
}

}  // namespace spdkio::tool
