#include "engine_spdk/nvme/io_queue.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "engine_spdk/nvme/connect_error.hpp"
#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {
namespace {

using nvme::Request;

constexpr std::uint16_t no_slot = 0xFFFF;
/// A buffer that was needed once is kept for the next time, if it is not larger.
constexpr std::size_t largest_kept_bounce = std::size_t{128} << 10;

std::size_t pieces_of(const Request& request, std::uint32_t& first, std::size_t& offset) noexcept {
  first = 0;
  offset = request.data_offset;
  while (first < request.iov_count && offset >= request.iov[first].size()) offset -= request.iov[first++].size();
  std::size_t count = 0;
  std::size_t left = request.data_bytes;
  std::size_t skip = offset;
  for (std::uint32_t i = first; i < request.iov_count && left > 0; ++i, ++count) {
    left -= std::min(left, request.iov[i].size() - skip);
    skip = 0;
  }
  return count;
}

/// Between the list and a flat buffer.
void copy_data(const Request& request, std::byte* flat, bool to_flat) noexcept {
  std::uint32_t piece = 0;
  std::size_t offset = 0;
  pieces_of(request, piece, offset);
  for (std::size_t left = request.data_bytes; left > 0; ++piece, offset = 0) {
    const std::size_t part = std::min(left, request.iov[piece].size() - offset);
    std::byte* const data = request.iov[piece].data() + offset;
    if (to_flat) {
      std::memcpy(flat, data, part);
    } else {
      std::memcpy(data, flat, part);
    }
    flat += part;
    left -= part;
  }
}

const char* reason_of(spdk_nvme_qpair* qpair) noexcept {
  switch (::spdk_nvme_qpair_get_failure_reason(qpair)) {
    case SPDK_NVME_QPAIR_FAILURE_LOCAL: return "a failure on this side";
    case SPDK_NVME_QPAIR_FAILURE_REMOTE: return "a failure of the other side";
    default: return "a failure of the connection";
  }
}

}  // namespace

IoQueue::IoQueue(std::shared_ptr<SpdkController> controller, LightThread& light,
                 const nvme::QueueParameters& parameters, nvme::QueueEvents& events)
    : controller_(std::move(controller)),
      light_(light),
      events_(events),
      thread_(CurrentThread::handle()),
      qid_(parameters.qid),
      entries_(std::max(parameters.entries, 2u)),
      polled_(parameters.poll),
      slots_(entries_ - 1) {
  capacity_ = static_cast<std::uint32_t>(slots_.size());
  index_mask_ = static_cast<std::uint16_t>(std::bit_ceil(slots_.size()) - 1);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].queue = this;
    slots_[i].cid = static_cast<std::uint16_t>(i);
    slots_[i].next_free = i + 1 < slots_.size() ? static_cast<std::uint16_t>(i + 1) : no_slot;
  }
}

IoQueue::~IoQueue() = default;

Task<> IoQueue::connect() {
  auto open = [this] { return controller_->open_io(*this, entries_); };
  auto opening = controller_->driver().call(std::move(open));
  qpair_ = co_await std::move(opening);
  std::string said;
  for (;;) {
    int rc = 0;
    {
      const LogCapture capture(said);
      light_.make_current();
      rc = ::spdk_nvme_qpair_process_completions(qpair_, 0);
    }
    if (rc < 0) throw connect_error(said).with_operation("connect").with_device(controller_->name());
    if (::spdk_nvme_qpair_is_connected(qpair_)) break;
    co_await sleep_for(std::chrono::microseconds{50});
  }
  connected_ = true;
}

// ---- commands

bool IoQueue::submit(Request& request) noexcept {
  if (!connected_ || free_head_ == no_slot) return false;
  Slot& slot = slots_[free_head_];
  free_head_ = slot.next_free;
  // Another number for each use of the slot, so that an Abort for the last one finds nothing.
  slot.cid = static_cast<std::uint16_t>(slot.cid + index_mask_ + 1u);
  slot.request = &request;
  request.cid = slot.cid;
  if (polled_) light_.began();
  const int rc = start(slot, request);
  if (rc == 0) [[likely]]
    return true;
  free_slot(slot);
  if (rc == -ENXIO) {
    // Found out by the next poll, which is soon.
    request.lose(Outcome::never_submitted);
    return true;
  }
  request.refuse(rc < 0 ? -rc : EIO);
  return true;
}

int IoQueue::start(Slot& slot, Request& request) noexcept {
  auto command = std::bit_cast<spdk_nvme_cmd>(request.command);
  spdk_nvme_ctrlr* const ctrlr = controller_->get();
  void* metadata = nullptr;
  if (!request.metadata.empty()) {
    // SPDK finds the length of the metadata with what it knows of the namespace.
    spdk_nvme_ns* const ns = ::spdk_nvme_ctrlr_get_ns(ctrlr, command.nsid);
    if (ns == nullptr || ::spdk_nvme_ns_get_sector_size(ns) == 0) return -EINVAL;
    metadata = request.metadata.data();
  }
  light_.make_current();
  void* flat = nullptr;
  slot.bounced = false;
  if (request.data_bytes != 0) {
    const std::size_t pieces = pieces_of(request, slot.piece, slot.piece_offset);
    if (pieces == 1) [[likely]] {
      flat = request.iov[slot.piece].data() + slot.piece_offset;
    } else if (controller_->sgl_supported() && pieces <= controller_->limits().max_segments) {
      return ::spdk_nvme_ctrlr_cmd_iov_raw_with_md(ctrlr, qpair_, &command, request.data_bytes, metadata, on_done,
                                                   &slot, reset_list, next_piece);
    } else {
      const int rc = prepare_bounce(slot, request);
      if (rc != 0) return rc;
      flat = slot.bounce.data();
    }
  }
  return ::spdk_nvme_ctrlr_cmd_io_raw_with_md(ctrlr, qpair_, &command, flat, request.data_bytes, metadata, on_done,
                                              &slot);
}

/// For more pieces than SPDK takes in one command.
int IoQueue::prepare_bounce(Slot& slot, const Request& request) noexcept {
  if (slot.bounce.size() < request.data_bytes) {
    auto made = DmaBuf::allocate(request.data_bytes, {.zeroed = false});
    if (!made) return -ENOMEM;
    slot.bounce = std::move(*made);
  }
  slot.bounced = true;
  if (request.direction == spec::DataTransfer::host_to_controller) copy_data(request, slot.bounce.data(), true);
  return 0;
}

void IoQueue::reset_list(void* arg, std::uint32_t offset) noexcept {
  auto& slot = *static_cast<Slot*>(arg);
  pieces_of(*slot.request, slot.piece, slot.piece_offset);
  std::size_t skip = slot.piece_offset + offset;
  while (slot.piece < slot.request->iov_count && skip >= slot.request->iov[slot.piece].size()) {
    skip -= slot.request->iov[slot.piece++].size();
  }
  slot.piece_offset = skip;
}

int IoQueue::next_piece(void* arg, void** address, std::uint32_t* length) noexcept {
  auto& slot = *static_cast<Slot*>(arg);
  if (slot.piece >= slot.request->iov_count) return -EINVAL;
  const DmaSpan& piece = slot.request->iov[slot.piece];
  *address = piece.data() + slot.piece_offset;
  *length = static_cast<std::uint32_t>(std::min<std::size_t>(piece.size() - slot.piece_offset, UINT32_MAX));
  ++slot.piece;
  slot.piece_offset = 0;
  return 0;
}

void IoQueue::on_done(void* arg, const spdk_nvme_cpl* completion) noexcept {
  auto& slot = *static_cast<Slot*>(arg);
  IoQueue& self = *slot.queue;
  if (self.deaf_.load(std::memory_order_relaxed)) return;  // `stop` ends the request
  Request& request = *slot.request;
  auto answer = std::bit_cast<spec::Completion>(*completion);
  answer.cid = slot.cid;
  if (slot.bounced) [[unlikely]] {
    if (answer.ok() && request.direction == spec::DataTransfer::controller_to_host) {
      copy_data(request, slot.bounce.data(), false);
    }
    if (slot.bounce.size() > largest_kept_bounce) slot.bounce = DmaBuf{};
  }
  // SPDK's own answer for what a queue pair had that came to an end: known to be one once the pair is found so.
  if (completion->status.sct == SPDK_NVME_SCT_GENERIC && completion->status.sc == SPDK_NVME_SC_ABORTED_SQ_DELETION)
      [[unlikely]] {
    slot.taken_back = true;
    slot.answer = answer;
    ++self.taken_back_;
    return;
  }
  self.free_slot(slot);
  request.complete(answer);
}

/// The queue pair goes on: it was the controller's answer.
void IoQueue::end_taken_back() noexcept {
  for (Slot& slot : slots_) {
    if (!slot.taken_back) continue;
    slot.taken_back = false;
    --taken_back_;
    Request& request = *slot.request;
    free_slot(slot);
    request.complete(slot.answer);
  }
}

IoQueue::Slot* IoQueue::find(std::uint16_t cid) noexcept {
  const std::size_t index = cid & index_mask_;
  if (index >= slots_.size()) return nullptr;
  return slots_[index].request != nullptr && slots_[index].cid == cid ? &slots_[index] : nullptr;
}

void IoQueue::free_slot(Slot& slot) noexcept {
  slot.request = nullptr;
  if (polled_) light_.ended();
  if (slot.held) return;
  slot.next_free = free_head_;
  free_head_ = static_cast<std::uint16_t>(&slot - slots_.data());
}

void IoQueue::hold_cid(std::uint16_t cid) noexcept {
  if (Slot* const slot = find(cid)) slot->held = true;
}

void IoQueue::release_cid(std::uint16_t cid) noexcept {
  const std::size_t index = cid & index_mask_;
  if (index >= slots_.size() || slots_[index].cid != cid || !std::exchange(slots_[index].held, false)) return;
  if (slots_[index].request != nullptr) return;
  slots_[index].next_free = free_head_;
  free_head_ = static_cast<std::uint16_t>(index);
}

void IoQueue::abort(std::uint16_t cid, AdminSlot& abort_slot) noexcept {
  Slot* const slot = connected_ ? find(cid) : nullptr;
  int rc = -ENOENT;
  if (slot != nullptr) {
    const auto aborted = [](void* arg, const spdk_nvme_cpl* completion) {
      auto& ended = *static_cast<AdminSlot*>(arg);
      ended.controller->end_abort(ended, *completion);
    };
    light_.make_current();
    rc = ::spdk_nvme_ctrlr_cmd_abort_ext(controller_->get(), qpair_, slot, aborted, &abort_slot);
  }
  if (rc != 0) controller_->end_abort_not_found(abort_slot);
}

// ---- the connection

std::size_t IoQueue::poll() noexcept {
  if (!connected_) return 0;
  light_.make_current();
  std::string said;
  int rc = 0;
  {
    const LogCapture capture(said);
    rc = ::spdk_nvme_qpair_process_completions(qpair_, 0);
  }
  if (rc >= 0) [[likely]] {
    if (taken_back_ != 0 && ::spdk_nvme_qpair_is_connected(qpair_)) [[unlikely]]
      end_taken_back();
    return static_cast<std::size_t>(rc);
  }
  fail(Error(std::errc::connection_reset,
             fmt::format("SPDK has lost queue {}: {}{}{}", qid_, reason_of(qpair_), said.empty() ? "" : ": ", said)));
  return 1;
}

void IoQueue::fail(Error why) noexcept {
  connected_ = false;
  if (handed_over_) events_.queue_failed(why.with_device(controller_->name()));
}

Task<> IoQueue::stop(bool) {
  connected_ = false;
  if (spdk_nvme_qpair* const qpair = std::exchange(qpair_, nullptr)) {
    // SPDK ends what it has, on the driver's Thread; we end it here.
    go_deaf();
    auto free = [this, qpair] { controller_->free_io(*this, qpair); };
    auto freeing = controller_->driver().call(std::move(free));
    const auto freed = co_await as_result(std::move(freeing));
    if (!freed) log::error("{}: queue {} stays with SPDK: {}", controller_->name(), qid_, freed.error().what());
  }
  lose_all();
}

void IoQueue::lose_all() noexcept {
  for (Slot& slot : slots_) {
    if (slot.request == nullptr) continue;
    slot.taken_back = false;
    Request& request = *slot.request;
    free_slot(slot);
    request.lose(Outcome::may_have_executed);
  }
}

}  // namespace spdkio::spdk
