#include "engine_spdk/nvme/admin_queue.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

namespace spdkio::spdk {
namespace {

using nvme::Request;

constexpr std::uint16_t no_slot = 0xFFFF;

bool is(const Request& request, spec::AdminOpcode opcode) noexcept {
  return request.command.opcode == static_cast<std::uint8_t>(opcode);
}

spec::Completion from_spdk(const spdk_nvme_cpl& completion, std::uint16_t cid) noexcept {
  static_assert(sizeof(spdk_nvme_cpl) == sizeof(spec::Completion));
  auto ours = std::bit_cast<spec::Completion>(completion);
  ours.cid = cid;
  return ours;
}

Task<> detach(std::shared_ptr<SpdkController> controller, bool orderly, Completer<int> done) {
  auto detaching = controller->detach(orderly);
  co_await std::move(detaching);
  done.set_value(0);
}

}  // namespace

AdminQueue::AdminQueue(std::shared_ptr<SpdkController> controller, const nvme::QueueParameters& parameters,
                       nvme::QueueEvents& events)
    : controller_(std::move(controller)), events_(events) {
  auto& slots = controller_->slots();
  slots = std::vector<AdminSlot>(std::max(parameters.entries, 2u) - 1);
  capacity_ = static_cast<std::uint32_t>(slots.size());
  index_mask_ = static_cast<std::uint16_t>(std::bit_ceil(slots.size()) - 1);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    slots[i].cid = static_cast<std::uint16_t>(i);
    slots[i].next_free = i + 1 < slots.size() ? static_cast<std::uint16_t>(i + 1) : no_slot;
  }
}

AdminQueue::~AdminQueue() = default;

bool AdminQueue::submit(Request& request) noexcept {
  if (closed_) return false;
  if (is(request, spec::AdminOpcode::async_event_request)) {
    event_requests_.push_back(request);
    take_events();
    return true;
  }
  if (request.iov_count > 1) {
    request.refuse(EINVAL);
    return true;
  }
  if (free_head_ == no_slot) return false;
  AdminSlot& slot = controller_->slots()[free_head_];
  free_head_ = slot.next_free;
  // Another number for each use of the slot, so that an Abort for the last one finds nothing.
  slot.cid = static_cast<std::uint16_t>(slot.cid + index_mask_ + 1u);
  slot.request = &request;
  slot.command = std::bit_cast<spdk_nvme_cmd>(request.command);
  slot.data = request.iov_count != 0 && request.data_bytes != 0 ? request.iov->data() + request.data_offset : nullptr;
  slot.bytes = request.data_bytes;
  slot.abort_target = nullptr;
  request.cid = slot.cid;
  if (!is(request, spec::AdminOpcode::abort)) {
    controller_->submit(slot);
    return true;
  }
  // Its CID is one of ours, and only SPDK knows the controller's for it.
  if ((slot.command.cdw10 & 0xFFFF) == 0) {
    slot.abort_target = find(static_cast<std::uint16_t>(slot.command.cdw10 >> 16));
    if (slot.abort_target == nullptr) {
      controller_->end_abort_not_found(slot);
    } else {
      controller_->submit(slot);
    }
    return true;
  }
  try {
    controller_->abort(slot);
  } catch (...) {
    free_slot(slot);
    request.refuse(ENOMEM);
  }
  return true;
}

std::size_t AdminQueue::poll() noexcept {
  if (!controller_->take_wake()) return 0;
  std::size_t count = take_ended() + take_events();
  if (!closed_) {
    if (const auto why = controller_->failure()) {
      closed_ = true;
      events_.queue_failed(*why);
      ++count;
    }
  }
  return count;
}

std::size_t AdminQueue::take_ended() noexcept {
  std::size_t count = 0;
  auto ended = controller_->take_ended();
  while (AdminSlot* const slot = ended.pop_front()) {
    if (slot->request == nullptr) continue;
    Request& request = *slot->request;
    const std::uint16_t cid = slot->cid;
    const int refused = slot->refused;
    const spdk_nvme_cpl completion = slot->completion;
    free_slot(*slot);
    ++count;
    if (refused != 0) {
      request.refuse(refused);
    } else {
      request.complete(from_spdk(completion, cid));
    }
  }
  return count;
}

std::size_t AdminQueue::take_events() noexcept {
  std::size_t count = 0;
  while (!event_requests_.empty()) {
    const auto event = controller_->take_event();
    if (!event) break;
    ++count;
    event_requests_.pop_front()->complete(from_spdk(*event, 0));
  }
  return count;
}

AdminSlot* AdminQueue::find(std::uint16_t cid) noexcept {
  auto& slots = controller_->slots();
  const std::size_t index = cid & index_mask_;
  if (index >= slots.size()) return nullptr;
  return slots[index].request != nullptr && slots[index].cid == cid ? &slots[index] : nullptr;
}

void AdminQueue::free_slot(AdminSlot& slot) noexcept {
  slot.request = nullptr;
  if (slot.held) return;
  slot.next_free = free_head_;
  free_head_ = static_cast<std::uint16_t>(&slot - controller_->slots().data());
}

void AdminQueue::hold_cid(std::uint16_t cid) noexcept {
  if (AdminSlot* const slot = find(cid)) slot->held = true;
}

void AdminQueue::release_cid(std::uint16_t cid) noexcept {
  auto& slots = controller_->slots();
  const std::size_t index = cid & index_mask_;
  if (index >= slots.size() || slots[index].cid != cid || !std::exchange(slots[index].held, false)) return;
  if (slots[index].request == nullptr) free_slot(slots[index]);
}

Task<> AdminQueue::stop(bool orderly) {
  closed_ = true;
  auto [completer, done] = completion<int>();
  try {
    controller_->driver().spawn(detach(controller_, orderly, std::move(completer)), "nvme detach").detach();
  } catch (const Error& error) {
    log::error("{}: it stays attached to SPDK: {}", controller_->name(), error.what());
  }
  auto detached = co_await as_result(std::move(done));
  if (!detached) log::error("{}: it stays attached to SPDK: {}", controller_->name(), detached.error().what());
  // What the controller has answered until then counts.
  take_ended();
  while (Request* const request = event_requests_.pop_front()) request->lose(Outcome::may_have_executed);
  for (AdminSlot& slot : controller_->slots()) {
    Request* const request = std::exchange(slot.request, nullptr);
    if (request == nullptr) continue;
    request->lose(slot.submitted ? Outcome::may_have_executed : Outcome::never_submitted);
  }
}

}  // namespace spdkio::spdk
