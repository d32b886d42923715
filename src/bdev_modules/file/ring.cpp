#include "bdev_modules/file/ring.hpp"

#include <spdkio/base/log.hpp>

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "bdev_modules/file/ring_setup.hpp"
#include "bdev_modules/file/uring_channel.hpp"

namespace spdkio::bdev::file {
namespace {

constexpr std::uint64_t answer_to_cancel = 1;  // no request is at that address

bool kernel_has_news(const io_uring& ring) {
  return (__atomic_load_n(ring.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

}  // namespace

/// What the Thread knows of its ring.
struct Ring::Local {
  Ring* ring = nullptr;
  ~Local() {
    if (ring == nullptr) return;
    ring->local_ = nullptr;
    // The Thread ends, and with it the round that would have ended the ring.
    if (ring->users_ == 0) delete ring;
  }
};

RingHandle::RingHandle(Ring& ring) noexcept : ring_(&ring) { ++ring.users_; }

RingHandle::~RingHandle() {
  if (ring_ == nullptr || --ring_->users_ > 0) return;
  ring_->end_if_unused();
}

Result<RingHandle> Ring::acquire() {
  static const char key = 0;
  auto& core = detail::ThreadCore::require_current("io_channel");
  std::shared_ptr<void>& slot = core.local(&key);
  if (slot == nullptr) slot = std::make_shared<Local>();
  const auto local = std::static_pointer_cast<Local>(slot);
  if (local->ring == nullptr) {
    io_uring ring{};
    if (auto made = set_up_ring(ring); !made) return std::unexpected(std::move(made.error()));
    try {
      local->ring = new Ring(core, *local, ring);
    } catch (...) {
      io_uring_queue_exit(&ring);
      return std::unexpected(Error::from_current_exception());
    }
  }
  return RingHandle{*local->ring};
}

Ring::Ring(detail::ThreadCore& core, Local& local, const io_uring& ring)
    : core_(core),
      local_(&local),
      os_thread_(::gettid()),
      ring_(ring),
      limit_(*ring_.cq.kring_entries - submission_entries),  // the rest is for answers to cancellations
      files_(ring_),
      buffers_(ring_),
      wakeup_(ring_) {
  flush_.ring = this;
  flush_.run = [](detail::Deferred& work) noexcept { return static_cast<Flush&>(work).ring->flush(); };
  poller_.emplace([this] { return reap() > 0 ? PollResult::busy : PollResult::idle; },
                  PollerOptions{.name = "file", .period = {}, .wake_fd = wakeup_.fd()});
}

Ring::~Ring() {
  poller_.reset();
  // The registered number of the ring is the OS thread's; on another one it would be another ring's.
  if (::gettid() != os_thread_) ring_.int_flags = 0;
  io_uring_queue_exit(&ring_);
  if (local_ != nullptr) local_->ring = nullptr;
}

void Ring::end_if_unused() noexcept {
  if (users_ == 0 && !busy_ && !flush_.queued()) delete this;
}

bool Ring::start(Io& io) noexcept {
  if (in_flight_ >= limit_) return false;
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) return false;
  UringRequest& request = io.context<UringRequest>();
  request.stage = Stage::submitted;
  request.channel->prepare(io, *sqe);
  io_uring_sqe_set_data(sqe, &io);
  ++in_flight_;
  return true;
}

void Ring::cancel(Io& io) noexcept {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  if (sqe == nullptr) return;  // the kernel takes nothing just now; the request runs to its end
  io_uring_prep_cancel(sqe, &io, 0);
  io_uring_sqe_set_data64(sqe, answer_to_cancel);
  ++in_flight_;
  core_.defer(flush_);
}

/// Moves waiting requests into the ring, in order; true when there were any.
bool Ring::start_waiting() noexcept {
  bool any = false;
  while (!waiting_.empty() && start(*waiting_.front())) {
    // `start` leaves the link alone.
    waiting_.pop_front();
    any = true;
  }
  return any;
}

std::size_t Ring::flush() noexcept {
  std::size_t count = 0;
  busy_ = true;
  while (io_uring_sq_ready(&ring_) > 0) {
    const int result = io_uring_submit(&ring_);
    if (result == -EINTR) continue;
    if (result == 0 || result == -EAGAIN || result == -EBUSY) {
      core_.defer(flush_);  // short of memory, or of room for completions: next round, after some were taken
      break;
    }
    if (result < 0) {
      fail_unsubmitted(-result);
      break;
    }
    count += static_cast<std::size_t>(result);
    start_waiting();
  }
  busy_ = false;
  end_if_unused();
  return count;
}

bool Ring::completions_ready() noexcept {
  if (in_flight_ == 0) return false;
  if (io_uring_cq_ready(&ring_) > 0) return true;
  if (!kernel_has_news(ring_)) return false;
  io_uring_get_events(&ring_);
  return io_uring_cq_ready(&ring_) > 0;
}

std::size_t Ring::reap() noexcept {
  if (!completions_ready() && !(wakeup_.idled() && completions_ready())) return 0;
  wakeup_.worked();
  busy_ = true;
  unsigned count = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    answer(cqe->user_data, cqe->res);
  }
  io_uring_cq_advance(&ring_, count);
  if (start_waiting()) core_.defer(flush_);
  busy_ = false;
  end_if_unused();
  return count;
}

void Ring::answer(std::uint64_t user_data, int result) noexcept {
  --in_flight_;
  if (user_data == answer_to_cancel) return;
  Io& io = *reinterpret_cast<Io*>(user_data);
  io.context<UringRequest>().channel->answered(io, result);
}

/// The kernel refuses the ring as a whole, as when the Thread has moved to another OS thread: what it did not take ends
/// here, so that nobody waits for ever.
void Ring::fail_unsubmitted(int errno_value) noexcept {
  if (!submit_failed_) {
    submit_failed_ = true;
    log::critical("thread '{}': the kernel takes no more file I/O: {}", core_.name(),
                  std::generic_category().message(errno_value));
  }
  io_uring_sq& queue = ring_.sq;
  const unsigned first = *queue.khead;
  const unsigned end = queue.sqe_tail;
  const unsigned mask = *queue.kring_mask;
  // Take them out first: an answer may submit again.
  queue.sqe_head = queue.sqe_tail = first;
  __atomic_store_n(queue.ktail, first, __ATOMIC_RELEASE);
  IntrusiveQueue<Io> failed;
  for (unsigned i = first; i != end; ++i) {
    const std::uint64_t user_data = queue.sqes[i & mask].user_data;
    --in_flight_;
    if (user_data != answer_to_cancel) failed.push_back(*reinterpret_cast<Io*>(user_data));
  }
  failed.append(std::move(waiting_));
  while (Io* io = failed.pop_front()) io->context<UringRequest>().channel->refused(*io, errno_value);
}

}  // namespace spdkio::bdev::file
