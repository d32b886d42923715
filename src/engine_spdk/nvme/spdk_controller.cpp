#include "engine_spdk/nvme/spdk_controller.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "engine_spdk/nvme/io_queue.hpp"
#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {
namespace {

/// How long the driver looks for an answer again and again before it looks once a millisecond.
constexpr std::chrono::milliseconds attentive{2};
constexpr std::size_t most_events = 64;
constexpr std::uint32_t dword = 4;

/// What SPDK answers with for commands that were in a queue pair when that ended.
bool taken_back(const spdk_nvme_cpl& completion) noexcept {
  return completion.status.sct == SPDK_NVME_SCT_GENERIC && completion.status.sc == SPDK_NVME_SC_ABORTED_SQ_DELETION;
}

}  // namespace

SpdkController::SpdkController(spdk_nvme_ctrlr* ctrlr, const nvme::ControllerSettings& settings,
                               std::function<void()> on_detached)
    : name_(settings.name),
      driver_(CurrentThread::handle()),
      keep_alive_(settings.keep_alive),
      on_detached_(std::move(on_detached)),
      ctrlr_(ctrlr),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!wake_fd_) throw Error::from_errno(errno, "no event descriptor").with_operation("eventfd");
  const bool fabrics = settings.id.trtype != nvme::TransportType::pcie;
  limits_.fabrics = fabrics;
  limits_.driven = true;
  limits_.max_io_queues = ::spdk_nvme_ctrlr_get_opts(ctrlr_)->num_io_queues;
  limits_.max_transfer_bytes = ::spdk_nvme_ctrlr_get_max_xfer_size(ctrlr_);
  limits_.max_segments = ::spdk_nvme_ctrlr_get_max_sges(ctrlr_);
  limits_.buffer_alignment = fabrics ? 1 : dword;
  sgl_supported_ = fabrics || (::spdk_nvme_ctrlr_get_flags(ctrlr_) & SPDK_NVME_CTRLR_SGL_SUPPORTED) != 0;
  controller_id_ = ::spdk_nvme_ctrlr_get_data(ctrlr_)->cntlid;
  capabilities_ = ::spdk_nvme_ctrlr_get_regs_cap(ctrlr_).raw;
  version_ = ::spdk_nvme_ctrlr_get_regs_vs(ctrlr_).raw;
}

SpdkController::~SpdkController() = default;

void SpdkController::start() {
  ::spdk_nvme_ctrlr_register_aer_callback(ctrlr_, on_event, this);
  if (keep_alive_.count() > 0) {
    // Commands of ours are timed above; what is left is SPDK's Keep Alive, which it times by itself from 26.01 on.
    constexpr std::uint64_t long_enough_us = 3600ull * 1000 * 1000;
    ::spdk_nvme_ctrlr_register_timeout_callback(ctrlr_, long_enough_us, long_enough_us, on_timeout, this);
  }
  poller_.emplace([self = shared_from_this()] { return self->poll(); }, PollerOptions{.name = name_});
}

// ---- to and from the home Thread

void SpdkController::submit(AdminSlot& slot) noexcept {
  slot.controller = this;
  slot.submitted = false;
  slot.refused = 0;
  {
    const std::lock_guard lock(mutex_);
    pending_.push_back(slot);
  }
  driver_.mailbox()->wake();
}

void SpdkController::push_ended(AdminSlot& slot) noexcept {
  {
    const std::lock_guard lock(mutex_);
    ended_.push_back(slot);
  }
  wake_home();
}

void SpdkController::wake_home() noexcept {
  // The descriptor first: who finds the flag set reads it.
  if (woken_.load()) return;
  ::eventfd_write(wake_fd_.get(), 1);
  woken_.store(true);
}

bool SpdkController::take_wake() noexcept {
  if (!woken_.exchange(false)) return false;
  eventfd_t ignored = 0;
  ::eventfd_read(wake_fd_.get(), &ignored);
  return true;
}

IntrusiveQueue<AdminSlot> SpdkController::take_ended() noexcept {
  const std::lock_guard lock(mutex_);
  return std::move(ended_);
}

std::optional<spdk_nvme_cpl> SpdkController::take_event() noexcept {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  const spdk_nvme_cpl event = events_.front();
  events_.pop_front();
  return event;
}

std::optional<Error> SpdkController::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

// ---- aborts

void SpdkController::abort(AdminSlot& slot) {
  slot.controller = this;
  slot.submitted = true;
  slot.refused = 0;
  const auto queue_id = static_cast<std::uint16_t>(slot.command.cdw10 & 0xFFFF);
  const auto cid = static_cast<std::uint16_t>(slot.command.cdw10 >> 16);
  ThreadHandle thread;
  {
    const std::lock_guard lock(mutex_);
    const auto found = queues_.find(queue_id);
    if (found != queues_.end()) thread = found->second->thread();
  }
  if (!thread) return end_abort_not_found(slot);
  auto try_it = [self = shared_from_this(), &slot, queue_id, cid] {
    IoQueue* queue = nullptr;
    {
      const std::lock_guard lock(self->mutex_);
      const auto found = self->queues_.find(queue_id);
      if (found != self->queues_.end()) queue = found->second;
    }
    // It is this Thread's: it does not go away meanwhile.
    if (queue == nullptr) return self->end_abort_not_found(slot);
    if (!self->try_lock_admin()) {
      try {
        return self->abort(slot);
      } catch (...) {
        return self->end_abort_not_found(slot);
      }
    }
    queue->abort(cid, slot);
    self->unlock_admin();
  };
  if (!thread.send(std::move(try_it))) end_abort_not_found(slot);
}

void SpdkController::end_abort(AdminSlot& slot, const spdk_nvme_cpl& completion) noexcept {
  if (taken_back(completion)) return;  // ends with the queue
  slot.completion = completion;
  push_ended(slot);
}

/// As the controller would say it: nothing was aborted.
void SpdkController::end_abort_not_found(AdminSlot& slot) noexcept {
  slot.completion = {};
  slot.completion.cdw0 = 1;
  push_ended(slot);
}

// ---- the driver's Thread

PollResult SpdkController::poll() noexcept {
  if (failed_ || detached_) return PollResult::idle;
  std::string said;
  int rc = 0;
  {
    const std::lock_guard lock(admin_work_);
    const LogCapture capture(said);
    submit_pending();
    rc = ::spdk_nvme_ctrlr_process_admin_completions(ctrlr_);
  }
  if (keep_alive_unanswered_) {
    fail(Error(std::errc::timed_out, fmt::format("no answer to Keep Alive for {} ms", keep_alive_.count())));
    return PollResult::busy;
  }
  if (rc < 0) {
    fail(Error(limits_.fabrics ? std::errc::connection_reset : std::errc::no_such_device_or_address,
               fmt::format("SPDK has lost the controller{}{}", said_.empty() && said.empty() ? "" : ": ",
                           said_.empty() ? said : said_)));
    return PollResult::busy;
  }
  // It may be the beginning of the end.
  if (!said.empty()) said_ = std::move(said);
  const std::uint64_t now = ticks();
  if (rc > 0) last_work_ = now;
  const bool expecting = in_flight_ > 0 && ns_from_ticks(now - last_work_) < attentive;
  return rc > 0 || expecting ? PollResult::busy : PollResult::idle;
}

void SpdkController::submit_pending() noexcept {
  {
    const std::lock_guard lock(mutex_);
    unsent_.append(std::move(pending_));
  }
  while (AdminSlot* const slot = unsent_.pop_front()) {
    slot->submitted = true;
    ++in_flight_;
    const int rc =
        slot->abort_target != nullptr
            ? ::spdk_nvme_ctrlr_cmd_abort_ext(ctrlr_, nullptr, slot->abort_target, on_admin_done, slot)
            : ::spdk_nvme_ctrlr_cmd_admin_raw(ctrlr_, &slot->command, slot->data, slot->bytes, on_admin_done, slot);
    if (rc == 0) {
      last_work_ = ticks();
      continue;
    }
    --in_flight_;
    slot->submitted = false;
    if (rc == -ENOMEM && in_flight_ > 0) {  // SPDK's own commands have the rest of the queue
      unsent_.push_front(*slot);
      return;
    }
    if (rc == -ENXIO) return;  // about to be found lost; ends with the queue
    if (rc == -ENOENT && slot->abort_target != nullptr) {
      end_abort_not_found(*slot);
      continue;
    }
    slot->refused = -rc;
    push_ended(*slot);
  }
}

void SpdkController::on_admin_done(void* arg, const spdk_nvme_cpl* completion) noexcept {
  auto& slot = *static_cast<AdminSlot*>(arg);
  --slot.controller->in_flight_;
  if (taken_back(*completion)) return;  // ends with the queue
  slot.completion = *completion;
  slot.controller->push_ended(slot);
}

void SpdkController::on_event(void* arg, const spdk_nvme_cpl* completion) noexcept {
  auto& self = *static_cast<SpdkController*>(arg);
  try {
    const std::lock_guard lock(self.mutex_);
    if (self.events_.size() >= most_events) self.events_.pop_front();
    self.events_.push_back(*completion);
  } catch (...) {
    log::error("{}: no memory for an event", self.name_);
  }
  self.wake_home();
}

void SpdkController::on_timeout(void* arg, spdk_nvme_ctrlr*, spdk_nvme_qpair* qpair, std::uint16_t) noexcept {
  if (qpair == nullptr) static_cast<SpdkController*>(arg)->keep_alive_unanswered_ = true;
}

void SpdkController::fail(Error why) noexcept {
  failed_ = true;
  {
    const std::lock_guard lock(mutex_);
    failure_ = why.with_device(name_);
  }
  wake_home();
}

// ---- queue pairs

spdk_nvme_qpair* SpdkController::open_io(IoQueue& queue, std::uint32_t entries) {
  if (detached_ || failed_) {
    throw Error(std::errc::not_connected, "there is no connection").with_device(name_);
  }
  spdk_nvme_io_qpair_opts opts{};
  ::spdk_nvme_ctrlr_get_default_io_qpair_opts(ctrlr_, &opts, sizeof opts);
  opts.io_queue_size = entries;
  opts.io_queue_requests = entries;
  opts.async_mode = true;
  opts.create_only = true;
  std::string said;
  const LogCapture capture(said);
  const auto failed = [&said, this](int error) {
    return Error::from_errno(error, "SPDK gives no queue pair: " + said).with_device(name_);
  };
  spdk_nvme_qpair* const qpair = ::spdk_nvme_ctrlr_alloc_io_qpair(ctrlr_, &opts, sizeof opts);
  if (qpair == nullptr) throw failed(ENOMEM);
  const int rc = ::spdk_nvme_ctrlr_connect_io_qpair(ctrlr_, qpair);
  if (rc != 0) {
    ::spdk_nvme_ctrlr_free_io_qpair(qpair);
    throw failed(-rc);
  }
  const std::lock_guard lock(mutex_);
  queues_[queue.qid()] = &queue;
  return qpair;
}

void SpdkController::free_io(IoQueue& queue, spdk_nvme_qpair* qpair) noexcept {
  {
    const std::lock_guard lock(mutex_);
    const auto found = queues_.find(queue.qid());
    if (found == queues_.end() || found->second != &queue) return;
    queues_.erase(found);
  }
  std::string said;
  const LogCapture capture(said);
  ::spdk_nvme_ctrlr_free_io_qpair(qpair);
}

// ---- the end

Task<> SpdkController::detach(bool orderly) {
  if (std::exchange(detached_, true)) co_return;
  const auto self = shared_from_this();
  poller_.reset();
  {
    // Of Threads that have ended without closing them: SPDK frees them with the controller.
    const std::lock_guard lock(mutex_);
    for (const auto& [qid, queue] : queues_) queue->go_deaf();
    queues_.clear();
  }
  std::string said;
  spdk_nvme_detach_ctx* context = nullptr;
  int rc = 0;
  {
    const LogCapture capture(said);
    ::spdk_nvme_ctrlr_register_aer_callback(ctrlr_, nullptr, nullptr);
    ::spdk_nvme_ctrlr_register_timeout_callback(ctrlr_, 0, 0, nullptr, nullptr);
    if (!orderly) ::spdk_nvme_ctrlr_fail(ctrlr_);
    rc = ::spdk_nvme_detach_async(ctrlr_, &context);
  }
  if (rc != 0) log::error("{}: SPDK does not detach it: error {}", name_, -rc);
  while (context != nullptr) {
    {
      const LogCapture capture(said);
      rc = ::spdk_nvme_detach_poll_async(context);
    }
    if (rc != -EAGAIN) break;
    // Also after a stop request: the controller still has our memory.
    const auto slept = co_await as_result(sleep_for(std::chrono::microseconds{100}));
    if (!slept) std::this_thread::yield();
  }
  if (on_detached_) on_detached_();
}

}  // namespace spdkio::spdk
