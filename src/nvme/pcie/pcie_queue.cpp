#include "nvme/pcie/pcie_queue.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "nvme/pcie/mmio.hpp"

namespace spdkio::nvme::pcie {
namespace {

/// An interrupt may come after its completion was taken. Emptying the eventfd costs a system call, so that is done
/// after some rounds without work, when the Thread might be about to sleep, and now and then.
constexpr std::uint32_t rounds_to_silence = 4;
constexpr std::uint32_t rounds_between_silences = 64;

/// Memory for a ring: contiguous for the device.
DmaBuf ring_memory(std::size_t bytes, std::uint64_t& iova) {
  const std::size_t size = (bytes + memory_page_bytes - 1) / memory_page_bytes * memory_page_bytes;
  DmaBuf memory(size, {.alignment = memory_page_bytes});
  const auto range = memory.iova();
  if (!range) throw range.error();
  if (range->length < bytes) {
    throw Error(std::errc::not_enough_memory, fmt::format("no {} bytes of contiguous memory for a queue", bytes))
        .with_hint("ask for a smaller queue");
  }
  iova = static_cast<std::uint64_t>(range->start);
  return memory;
}

}  // namespace

PcieQueue::PcieQueue(std::shared_ptr<Device> device, AdminCommands* admin, const QueueParameters& parameters,
                     QueueEvents& events)
    : device_(std::move(device)),
      admin_(admin),
      events_(events),
      qid_(parameters.qid),
      entries_(std::max(parameters.entries, 2u)),
      core_(&spdkio::detail::ThreadCore::require_current("nvme queue pair")),
      event_(device_->event_of(qid_)),
      submissions_(ring_memory(sizeof(spec::Command) * entries_, submission_iova_)),
      completions_(ring_memory(sizeof(spec::Completion) * entries_, completion_iova_)),
      lists_(std::size_t{memory_page_bytes} * (entries_ - 1), {.alignment = memory_page_bytes, .zeroed = false}),
      submission_doorbell_(device_->submission_doorbell(qid_)),
      completion_doorbell_(device_->completion_doorbell(qid_)),
      slots_(entries_ - 1) {
  capacity_ = entries_ - 1;
  free_.reserve(capacity_);
  for (std::uint32_t i = 0; i < capacity_; ++i) {
    const auto list =
        device_->memory().translate(lists_.data() + std::size_t{i} * memory_page_bytes, memory_page_bytes);
    if (!list) throw list.error();
    slots_[i].list_iova = static_cast<std::uint64_t>(list->start);
    free_.push_back(static_cast<std::uint16_t>(capacity_ - 1 - i));
  }
  ring_.queue = this;
  ring_.run = [](spdkio::detail::Deferred& work) noexcept {
    static_cast<Ring&>(work).queue->ring_submissions();
    return std::size_t{1};
  };
}

PcieQueue::~PcieQueue() {
  if (ring_.queued()) log::error("{}: queue {} destroyed before it was stopped", device_->name(), qid_);
}

std::byte* PcieQueue::submission(std::uint32_t index) const noexcept {
  return submissions_.data() + sizeof(spec::Command) * index;
}

// ---- requests

bool PcieQueue::submit(Request& request) noexcept {
  if (failed_ || free_.empty()) return false;
  const std::uint16_t cid = free_.back();
  Slot& slot = slots_[cid];
  spec::Command command = request.command;
  command.cid = cid;
  int error = 0;
  if (request.data_bytes != 0) {
    const ListPage list{.memory = lists_.data() + std::size_t{cid} * memory_page_bytes, .iova = slot.list_iova};
    // Admin commands go without SGLs on PCIe.
    const SglSupport sgl = qid_ == 0 ? SglSupport::none : device_->sgl;
    error = point_at_data(command, request, list, sgl, device_->memory());
  }
  if (error == 0 && !request.metadata.empty()) error = point_at_metadata(command, request.metadata, device_->memory());
  if (error != 0) [[unlikely]] {
    request.refuse(error);
    return true;
  }
  free_.pop_back();
  request.cid = cid;
  slot.request = &request;
  std::memcpy(submission(tail_), &command, sizeof command);
  tail_ = after(tail_);
  core_->defer(ring_);
  return true;
}

void PcieQueue::ring_submissions() noexcept {
  if (rung_tail_ == tail_ || failed_) return;
  rung_tail_ = tail_;
  submission_doorbell_.ring(static_cast<std::uint16_t>(tail_));
}

bool PcieQueue::withdraw(Request& request) noexcept {
  std::uint32_t index = rung_tail_;
  while (index != tail_) {
    spec::Command command;
    std::memcpy(&command, submission(index), sizeof command);
    // The second of a fused pair would execute alone.
    if (command.cid == request.cid) break;
    index = after(index);
  }
  if (index == tail_ || slots_[request.cid].request != &request) return false;
  if (request.command.fuse() != spec::Fuse::none) return false;
  for (std::uint32_t next = after(index); next != tail_; index = next, next = after(next)) {
    std::memcpy(submission(index), submission(next), sizeof(spec::Command));
  }
  tail_ = index;
  slots_[request.cid].request = nullptr;
  free_slot(request.cid);
  return true;
}

void PcieQueue::hold_cid(std::uint16_t cid) noexcept { slots_[cid].held = true; }

void PcieQueue::release_cid(std::uint16_t cid) noexcept {
  slots_[cid].held = false;
  if (slots_[cid].request == nullptr) free_.push_back(cid);
}

void PcieQueue::free_slot(std::uint16_t cid) noexcept {
  // Never more than were reserved.
  if (!slots_[cid].held) free_.push_back(cid);
}

// ---- completions

std::size_t PcieQueue::poll() noexcept {
  if (failed_) [[unlikely]]
    return 0;
  if (device_->failed()) [[unlikely]] {
    fail(device_->why());
    return 0;
  }
  std::size_t taken = take_completions();
  if (taken != 0) {
    idle_rounds_ = 0;
  } else if (event_ >= 0 && ++idle_rounds_ == rounds_to_silence && silence_event()) {
    taken = take_completions();
  }
  return taken;
}

std::size_t PcieQueue::take_completions() noexcept {
  std::size_t taken = 0;
  while (taken < entries_) {
    std::byte* const place = completions_.data() + sizeof(spec::Completion) * head_;
    constexpr std::size_t status_offset = 14;
    const auto status = *reinterpret_cast<const volatile std::uint8_t*>(place + status_offset);
    if (((status & 1) != 0) != phase_) break;
    read_barrier();
    spec::Completion completion;
    std::memcpy(&completion, place, sizeof completion);
    head_ = after(head_);
    if (head_ == 0) phase_ = !phase_;
    ++taken;
    const std::uint16_t cid = completion.cid;
    if (cid >= slots_.size() || slots_[cid].request == nullptr) [[unlikely]] {
      fail(Error(std::errc::protocol_error,
                 fmt::format("completion in queue {} for command {}, which is not in flight", qid_, cid))
               .with_device(device_->name()));
      return taken;
    }
    Request& request = *std::exchange(slots_[cid].request, nullptr);
    free_slot(cid);
    request.complete(completion);
  }
  if (taken != 0) completion_doorbell_.ring(static_cast<std::uint16_t>(head_));
  return taken;
}

bool PcieQueue::silence_event() noexcept {
  idle_rounds_ = rounds_to_silence - rounds_between_silences;  // wraps, and comes back
  eventfd_t ignored = 0;
  ::eventfd_read(event_, &ignored);
  // What completed before that is found by the second look.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return true;
}

void PcieQueue::fail(const Error& why) noexcept {
  if (failed_) return;
  failed_ = true;
  events_.queue_failed(why);
}

// ---- the end

Task<bool> PcieQueue::delete_queues() noexcept {
  try {
    if (submission_queue_created_) {
      spec::Command command;
      command.opcode = raw(spec::AdminOpcode::delete_io_sq);
      command.cdw10 = qid_;
      const spec::Completion answer = co_await admin_->admin_command(command);
      if (!answer.ok()) co_return false;
      submission_queue_created_ = false;
    }
    // Commands that the deletion took back are answered before it is.
    take_completions();
    if (completion_queue_created_) {
      spec::Command command;
      command.opcode = raw(spec::AdminOpcode::delete_io_cq);
      command.cdw10 = qid_;
      const spec::Completion answer = co_await admin_->admin_command(command);
      if (!answer.ok()) co_return false;
      completion_queue_created_ = false;
    }
    co_return true;
  } catch (const Error& error) {
    log::warn("{}: cannot delete queue {}: {}", device_->name(), qid_, error.what());
    co_return false;
  }
}

Task<> PcieQueue::stop(bool orderly) {
  // From here on nothing new is taken.
  const bool was_failed = std::exchange(failed_, true);
  while (ring_.queued()) co_await yield();
  bool quiet = false;
  if (orderly && admin_ != nullptr && !was_failed && !device_->failed()) quiet = co_await delete_queues();
  if (!quiet) {
    // The controller may have any of our buffers: take the whole device off the memory. Who resets it admits it again.
    device_->quiesce();
    if (admin_ != nullptr) {
      device_->fail(
          Error(std::errc::not_connected, fmt::format("queue {} could not be taken from the controller", qid_))
              .with_device(device_->name()));
    }
  }
  std::vector<bool> unsent(slots_.size());
  for (std::uint32_t index = rung_tail_; index != tail_; index = after(index)) {
    spec::Command command;
    std::memcpy(&command, submission(index), sizeof command);
    unsent[command.cid] = true;
  }
  rung_tail_ = tail_;
  for (std::size_t cid = 0; cid < slots_.size(); ++cid) {
    Request* const request = std::exchange(slots_[cid].request, nullptr);
    if (request != nullptr) request->lose(unsent[cid] ? Outcome::never_submitted : Outcome::may_have_executed);
  }
}

}  // namespace spdkio::nvme::pcie
