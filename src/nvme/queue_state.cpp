#include "nvme/queue_state.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace spdkio::nvme {
namespace {

/// Between a status that asks for another attempt without saying when, and the attempt.
constexpr std::chrono::milliseconds default_retry_delay{100};
constexpr std::size_t most_small_buffers = 64;

/// Statuses of a passing state: the command was not executed and may succeed soon.
bool passing_status(const NvmeStatus& status) noexcept {
  constexpr std::uint8_t command_interrupted = 0x21;
  constexpr std::uint8_t transient_transport_error = 0x22;
  constexpr std::uint8_t namespace_not_ready = 0x82;
  constexpr std::uint8_t ana_transition = 0x03;
  if (status.sct == static_cast<std::uint8_t>(NvmeSct::generic)) {
    return status.sc == command_interrupted || status.sc == transient_transport_error ||
           status.sc == namespace_not_ready;
  }
  return status.sct == static_cast<std::uint8_t>(NvmeSct::path) && status.sc == ana_transition;
}

}  // namespace

QueueState::QueueState(QueueOwner& owner, QueueSettings settings)
    : owner_(owner),
      settings_(std::move(settings)),
      core_(&spdkio::detail::ThreadCore::require_current("nvme queue pair")),
      thread_(core_->mailbox()),
      why_(std::errc::not_connected, "not connected yet"),
      timeout_ticks_(ticks_from(settings_.command_timeout)) {
  timeout_timer_.queue = this;
  timeout_timer_.fire = [](spdkio::detail::TimerNode& node) noexcept {
    static_cast<Timer&>(node).queue->look_for_overdue();
  };
  retry_timer_.queue = this;
  retry_timer_.fire = [](spdkio::detail::TimerNode& node) noexcept {
    QueueState& self = *static_cast<Timer&>(node).queue;
    self.waiting_.append(std::move(self.delayed_));
    self.start_waiting();
  };
}

QueueState::~QueueState() {
  if (timeout_timer_.queued()) core_->cancel_timer(timeout_timer_);
  if (retry_timer_.queued()) core_->cancel_timer(retry_timer_);
}

// ---- requests

void QueueState::admit(Request& request) noexcept {
  request.queue_ = this;
  request.attempts_ = 0;
  request.cancelled_ = false;
  request.outcome = Outcome::never_submitted;
}

void QueueState::submit(Request& request) noexcept {
  admit(request);
  if (phase_ == Phase::refusing) [[unlikely]]
    return fail_request(request);
  if (phase_ == Phase::ready && waiting_.empty() && send(request)) [[likely]]
    return;
  park(request);
}

void QueueState::submit_pair(Request& first, Request& second) noexcept {
  admit(first);
  admit(second);
  if (phase_ == Phase::refusing) {
    fail_request(first);
    return fail_request(second);
  }
  const bool room = phase_ == Phase::ready && waiting_.empty() && in_flight_ + 2 <= capacity();
  if (room && send(first)) {
    if (!send(second)) fail_request(second);  // the queue has failed, and the first with it
    return;
  }
  // Neighbours in the line; `start_waiting` lets the first go only with room for both.
  park(first);
  park(second);
}

bool QueueState::send(Request& request) noexcept {
  request.on_complete_ = on_complete;
  request.in_flight_ = true;
  request.overdue_ = false;
  ++in_flight_;
  if (request.timed && timeout_ticks_ != 0) link(request);
  if (queue_->submit(request)) [[likely]]
    return true;
  if (request.timed && timeout_ticks_ != 0) unlink(request);
  --in_flight_;
  request.in_flight_ = false;
  return false;
}

void QueueState::park(Request& request) noexcept { waiting_.push_back(request); }

void QueueState::start_waiting() noexcept {
  while (phase_ == Phase::ready) {
    Request* const request = waiting_.front();
    if (request == nullptr) return;
    if (request->command.fuse() == spec::Fuse::first && in_flight_ + 2 > capacity()) return;
    Request* const following = request->next;
    waiting_.pop_front();
    if (!send(*request)) {
      request->next = following;
      waiting_.push_front(*request);
      return;
    }
  }
}

void QueueState::on_complete(Request& request) noexcept { request.queue_->ended(request); }

void QueueState::ended(Request& request) noexcept {
  if (request.timed && timeout_ticks_ != 0) unlink(request);
  request.in_flight_ = false;
  --in_flight_;
  if (request.end == RequestEnd::lost && !request.cancelled_ && phase_ != Phase::refusing &&
      (request.repeatable || request.outcome == Outcome::never_submitted) && settings_.qid != 0 &&
      request.command.fuse() == spec::Fuse::none) {
    lost_.push_back(request);
    return;
  }
  if (request.end == RequestEnd::answered && !request.completion.ok() && worth_retrying(request)) [[unlikely]]
    return retry_later(request);
  if (!waiting_.empty()) start_waiting();
  finish(request);
}

void QueueState::finish(Request& request) noexcept { request.on_end_(request); }

bool QueueState::worth_retrying(const Request& request) const noexcept {
  const NvmeStatus status = request.completion.status();
  return request.repeatable && !request.cancelled_ && !status.dnr && passing_status(status) &&
         request.attempts_ < settings_.retries && request.command.fuse() == spec::Fuse::none;
}

void QueueState::retry_later(Request& request) noexcept {
  ++request.attempts_;
  const std::uint8_t crd = request.completion.status().crd;
  std::chrono::milliseconds delay = default_retry_delay;
  if (crd != 0) delay = std::chrono::milliseconds{100} * retry_delays_[crd - 1u];
  delayed_.push_back(request);
  if (retry_timer_.queued()) return;
  try {
    core_->add_timer(retry_timer_, delay);
  } catch (...) {
    waiting_.append(std::move(delayed_));
    start_waiting();
  }
}

void QueueState::cancel(Request& request) noexcept {
  if (request.queue_ != this) return;
  request.cancelled_ = true;
  if (request.in_flight_) {
    if (queue_ != nullptr && queue_->withdraw(request)) {
      if (request.timed && timeout_ticks_ != 0) unlink(request);
      request.in_flight_ = false;
      --in_flight_;
    } else {
      if (queue_ == nullptr || phase_ != Phase::ready) return;  // about to be lost
      queue_->hold_cid(request.cid);
      return owner_.abort_command(*this, request.cid);
    }
  } else if (!waiting_.remove(request) && !delayed_.remove(request)) {
    if (!lost_.remove(request)) return;
    request.end = RequestEnd::lost;  // the outcome stays: a connection had it
    return finish(request);
  }
  request.end = RequestEnd::lost;
  request.outcome = Outcome::never_submitted;
  finish(request);
}

std::size_t QueueState::process_completions() noexcept { return queue_ != nullptr ? queue_->poll() : 0; }

void QueueState::fail_request(Request& request) noexcept {
  request.end = RequestEnd::lost;
  request.outcome = Outcome::never_submitted;
  finish(request);
}

// ---- connection

Task<> QueueState::open(HostTransport& transport, std::uint32_t in_capsule_bytes) {
  const auto self = shared_from_this();
  auto guard = co_await changing_.lock();
  const QueueParameters parameters{.qid = settings_.qid,
                                   .entries = settings_.entries,
                                   .timeout = settings_.open_timeout,
                                   .in_capsule_bytes = in_capsule_bytes,
                                   .poll = settings_.poll};
  if (closed_) co_return;
  failed_while_opening_ = false;
  auto opening = settings_.qid == 0 ? transport.open_admin(parameters, *this) : transport.open_io(parameters, *this);
  auto opened = co_await std::move(opening);
  queue_ = std::move(opened);
  ++generation_;
  if (failed_while_opening_) {
    auto stopping = queue_->stop(false);
    co_await std::move(stopping);
    queue_.reset();
    throw why_;
  }
  if (settings_.poll && !queue_->polls_itself()) {
    PollerOptions poller_options;
    poller_options.name = settings_.device;
    poller_options.wake_fd = queue_->wake_fd();
    poller_.emplace([this] { return queue_->poll() > 0 ? PollResult::busy : PollResult::idle; },
                    std::move(poller_options));
  }
  if (closed_) co_return;
  phase_ = Phase::ready;
  start_waiting();
}

Task<> QueueState::stop(bool orderly) {
  const auto self = shared_from_this();
  auto locking = changing_.lock();
  auto guard = co_await as_result(std::move(locking));
  if (phase_ == Phase::ready) phase_ = Phase::down;
  if (retry_timer_.queued()) {
    core_->cancel_timer(retry_timer_);
    waiting_.append(std::move(delayed_));
  }
  // The last owner may be on another Thread, where the timer could not be taken back.
  if (timeout_timer_.queued()) core_->cancel_timer(timeout_timer_);
  if (queue_ == nullptr) co_return;
  poller_.reset();
  auto stopping = queue_->stop(orderly);
  co_await std::move(stopping);
  queue_.reset();
  // What a connection had goes first, in its order.
  lost_.append(std::move(waiting_));
  waiting_ = std::move(lost_);
}

void QueueState::close(const Error& why) noexcept {
  closed_ = true;
  refuse(why);
}

void QueueState::refuse(const Error& why) noexcept {
  why_ = why;
  phase_ = Phase::refusing;
  if (queue_ == nullptr) lost_.append(std::move(waiting_));
  IntrusiveQueue<Request> ending = std::move(lost_);
  ending.append(std::move(waiting_));
  ending.append(std::move(delayed_));
  while (Request* const request = ending.pop_front()) {
    request->end = RequestEnd::lost;
    if (request->outcome != Outcome::may_have_executed) request->outcome = Outcome::never_submitted;
    finish(*request);
  }
}

void QueueState::wait_again() noexcept {
  if (phase_ == Phase::refusing && !closed_) phase_ = Phase::down;
}

void QueueState::queue_failed(const Error& why) noexcept {
  if (phase_ != Phase::ready) {
    failed_while_opening_ = true;
    if (!closed_) why_ = why;
    return;
  }
  phase_ = Phase::down;
  why_ = why;
  owner_.queue_lost(*this, why);
}

// ---- timeouts

void QueueState::link(Request& request) noexcept {
  request.submitted_ticks_ = core_->batch_ticks();
  request.newer_ = nullptr;
  request.older_ = newest_;
  (newest_ != nullptr ? newest_->newer_ : oldest_) = &request;
  newest_ = &request;
  if (!timeout_timer_.queued()) [[unlikely]]
    arm_timeout(settings_.command_timeout);
}

void QueueState::unlink(Request& request) noexcept {
  (request.older_ != nullptr ? request.older_->newer_ : oldest_) = request.newer_;
  (request.newer_ != nullptr ? request.newer_->older_ : newest_) = request.older_;
}

void QueueState::arm_timeout(std::chrono::nanoseconds after) noexcept {
  if (timeout_timer_.queued()) return;
  try {
    core_->add_timer(timeout_timer_, after);
  } catch (...) {
    log::warn("{}: no memory for a timer; commands of queue {} may take longer than they should", settings_.device,
              settings_.qid);
  }
}

void QueueState::look_for_overdue() noexcept {
  const std::uint64_t now = core_->read_clock();
  while (oldest_ != nullptr && phase_ == Phase::ready) {
    Request& request = *oldest_;
    const std::uint64_t age = now - request.submitted_ticks_;
    if (age < timeout_ticks_) return arm_timeout(ns_from_ticks(timeout_ticks_ - age));
    const auto waited_ms = std::chrono::duration_cast<std::chrono::milliseconds>(settings_.command_timeout).count();
    if (settings_.qid == 0 || request.overdue_) {
      std::string text;
      try {
        text = fmt::format("no answer to command {} (opcode {:#04x}) on queue {} for {} ms{}", request.cid,
                           request.command.opcode, settings_.qid, waited_ms,
                           request.overdue_ ? " after it should have been aborted" : "");
      } catch (...) {
      }
      return queue_failed(Error(std::errc::timed_out, std::move(text)).with_device(settings_.device));
    }
    log::warn("{}: command {} (opcode {:#04x}) on queue {} takes longer than {} ms: aborting it", settings_.device,
              request.cid, request.command.opcode, settings_.qid, waited_ms);
    unlink(request);
    link(request);
    request.submitted_ticks_ = now;
    request.overdue_ = true;
    queue_->hold_cid(request.cid);
    owner_.abort_command(*this, request.cid);
  }
}

// ---- memory

DmaBuf QueueState::take_small_buffer() noexcept {
  if (!small_buffers_.empty()) {
    DmaBuf buffer = std::move(small_buffers_.back());
    small_buffers_.pop_back();
    return buffer;
  }
  auto made = DmaBuf::allocate(small_buffer_bytes);
  return made ? std::move(*made) : DmaBuf{};
}

void QueueState::give_small_buffer(DmaBuf buffer) noexcept {
  if (buffer.empty() || small_buffers_.size() >= most_small_buffers) return;
  try {
    small_buffers_.push_back(std::move(buffer));
  } catch (...) {
  }
}

}  // namespace spdkio::nvme
