#include "nvmf/queue.hpp"

#include <atomic>
#include <utility>

#include "nvmf/admin_commands.hpp"
#include "nvmf/poll_group.hpp"

namespace spdkio::nvmf {
namespace {

std::uint64_t next_id() noexcept {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

/// Bits 1:0 of the opcode, or of the type for Fabrics commands.
spec::DataTransfer direction_of(const spec::Command& command) noexcept {
  if (command.opcode == spec::fabrics::opcode) {
    return spec::data_transfer_of(static_cast<std::uint8_t>(spec::fabrics::command_type(command)));
  }
  return spec::data_transfer_of(command.opcode);
}

}  // namespace

Queue::Queue(PollGroup& group) : group_(group), id_(next_id()) {}

void Queue::capsule_received(Request& request, std::uint32_t capsule_bytes) noexcept {
  ++counters_.commands;
  if (sq_entries_ != 0 && ++sq_head_ == sq_entries_) sq_head_ = 0;
  if (request.has_failure()) return finish(request, request.failure);
  const bool fabrics = request.command.opcode == spec::fabrics::opcode;
  if (!connected() &&
      (!fabrics || spec::fabrics::command_type(request.command) != spec::fabrics::CommandType::connect)) {
    return finish(request, sc::command_sequence_error);
  }
  if (qid_ != 0 && !fabrics) meet_fused_partner(request);
  if (request.has_failure()) return finish(request, request.failure);
  if (!parse_data_pointer(request, capsule_bytes)) return finish(request, request.failure);
  // Data in the capsule that the command does not speak of.
  if (request.received == 0 && request.buffer) group_.buffers().give(std::exchange(request.buffer, {}));
  go_on(request);
}

void Queue::data_received(Request& request) noexcept {
  request.received = request.host_to_controller;
  go_on(request);
}

bool Queue::parse_data_pointer(Request& request, std::uint32_t capsule_bytes) noexcept {
  const spec::DataTransfer direction = direction_of(request.command);
  if (direction == spec::DataTransfer::none || direction == spec::DataTransfer::both) return true;
  request.received = 0;
  const spec::SglDescriptor sgl = request.command.sgl();
  const std::uint32_t length = sgl.length;
  const bool to_controller = direction == spec::DataTransfer::host_to_controller;
  if (to_controller && sgl.type() == spec::SglType::data_block && sgl.sub_type() == spec::SglSubType::offset) {
    const std::uint64_t offset = sgl.address;
    if (offset > capsule_bytes) {
      request.failure = sc::sgl_offset_invalid;
    } else if (length > capsule_bytes - offset) {
      request.failure = sc::sgl_length_invalid;
    } else if (length > 0) {
      request.data = DmaSpan::from_registered(request.buffer.data + offset, length);
      request.host_to_controller = request.received = length;
    }
  } else if (sgl.type() == spec::SglType::transport_data_block && sgl.sub_type() == spec::SglSubType::transport) {
    if (length > group_.buffers().largest()) {
      request.failure = sc::sgl_length_invalid;
    } else {
      (to_controller ? request.host_to_controller : request.controller_to_host) = length;
    }
  } else {
    request.failure = sc::sgl_type_invalid;
  }
  return !request.has_failure();
}

bool Queue::take_buffer(Request& request, std::uint32_t bytes) noexcept {
  if (!request.buffer) {
    request.buffer = group_.buffers().take(bytes);
    if (!request.buffer) {
      request.stage = Stage::for_buffer;
      request.buffer_free = on_buffer_free;
      group_.buffers().wait(request, bytes);
      return false;
    }
  }
  request.data = DmaSpan::from_registered(request.buffer.data, bytes);
  return true;
}

void Queue::on_buffer_free(BufferWaiter& waiter) noexcept {
  auto& request = static_cast<Request&>(waiter);
  request.queue->go_on(request);
}

void Queue::go_on(Request& request) noexcept {
  if (closing()) return request_dropped(request);
  if (request.received < request.host_to_controller) {
    if (!take_buffer(request, request.host_to_controller)) return;
    request.stage = Stage::transfer;
    ask_for_data(request);
    return;
  }
  if (request.has_failure()) return finish(request, request.failure);
  if (request.fused != 0) {
    request.stage = Stage::ready;
    if (request.partner == nullptr || request.partner->stage != Stage::ready) return;
    Request& second = request.fused == 2 ? request : *request.partner;
    return execute(second);
  }
  execute(request);
}

void Queue::meet_fused_partner(Request& request) noexcept {
  const spec::Fuse fuse = request.command.fuse();
  if (fuse == spec::Fuse::second && fused_first_ != nullptr) {
    Request& first = *std::exchange(fused_first_, nullptr);
    request.fused = 2;
    request.partner = &first;
    first.partner = &request;
    return;
  }
  if (fused_first_ != nullptr) lose_fused_partner();
  if (fuse == spec::Fuse::none) return;
  if (fuse == spec::Fuse::first) {
    request.fused = 1;
    fused_first_ = &request;
  } else {
    request.failure = fuse == spec::Fuse::second ? sc::missing_fused : sc::invalid_field;
  }
}

void Queue::lose_fused_partner() noexcept {
  Request& first = *std::exchange(fused_first_, nullptr);
  first.failure = sc::missing_fused;
  if (first.stage == Stage::ready) finish(first, first.failure);
}

/// The pair is not executed as one any more: the other one fails too.
void Queue::leave_partner(Request& request) noexcept {
  if (fused_first_ == &request) fused_first_ = nullptr;
  Request* const partner = std::exchange(request.partner, nullptr);
  if (partner == nullptr) return;
  partner->partner = nullptr;
  if (partner->has_failure()) return;
  partner->failure = sc::failed_fused;
  if (partner->stage == Stage::ready) finish(*partner, partner->failure);
}

void Queue::execute(Request& request) noexcept {
  if (qid_ == 0 || request.command.opcode == spec::fabrics::opcode) {
    AdminCommands::execute(*this, request);
  } else {
    execute_io(request);
  }
}

void Queue::finish(Request& request, const NvmeStatus& status) noexcept {
  if (request.fused != 0) {
    leave_partner(request);
    request.fused = 0;
  }
  if (closing()) return request_dropped(request);
  request.completion.set_status(status);
  request.completion.cid = request.command.cid;
  request.completion.sqhd = flow_control_disabled_ ? std::uint16_t{0xFFFF} : sq_head_;
  request.stage = Stage::responding;
  if (status.ok()) [[likely]] {
    counters_.bytes_read += request.controller_to_host;
    counters_.bytes_written += request.host_to_controller;
  } else {
    ++counters_.errors;
    request.controller_to_host = 0;
  }
  send_response(request);
}

bool Queue::abort(std::uint16_t cid) noexcept {
  for (Request* const candidate : requests()) {
    Request& request = *candidate;
    if (request.stage == Stage::free || request.stage == Stage::responding || request.command.cid != cid) continue;
    switch (request.stage) {
      case Stage::for_buffer: group_.buffers().stop_waiting(request); break;
      case Stage::parked: view_->unpark(request); break;
      case Stage::ready: break;
      case Stage::transfer: request.failure = sc::abort_requested; return true;
      case Stage::executing:
        if (controller_ != nullptr && qid_ == 0 && controller_->remove_async_event_request(request)) break;
        if (request.ns == nullptr || std::exchange(request.aborting, true)) return false;
        request.ns->channel.slot()->abort(request);
        return request.stage != Stage::executing;
      default: return false;
    }
    finish(request, sc::abort_requested);
    return true;
  }
  return false;
}

bool Queue::forget_async_event_request(std::uint16_t cid) noexcept {
  if (qid_ != 0 || controller_ == nullptr) return false;
  for (Request* const candidate : requests()) {
    if (candidate->stage != Stage::executing || candidate->command.cid != cid) continue;
    if (!controller_->remove_async_event_request(*candidate)) continue;
    request_dropped(*candidate);
    return true;
  }
  return false;
}

void Queue::give_up_waiting(Request& request) noexcept {
  if (fused_first_ == &request) fused_first_ = nullptr;
  if (request.stage != Stage::executing) {
    request.partner = nullptr;
    request.fused = 0;
  }
  switch (request.stage) {
    case Stage::for_buffer: group_.buffers().stop_waiting(request); break;
    case Stage::parked: view_->unpark(request); break;
    case Stage::executing:
      if (controller_ != nullptr && qid_ == 0 && controller_->remove_async_event_request(request)) break;
      if (request.ns != nullptr && !std::exchange(request.aborting, true)) request.ns->channel.slot()->abort(request);
      return;
    case Stage::free: return;
    default: break;
  }
  request_dropped(request);
}

void Queue::detach() noexcept {
  if (view_ != nullptr) --view_->queues;
  view_ = nullptr;
  if (controller_ == nullptr) return;
  const std::shared_ptr<Controller> controller = std::exchange(controller_, nullptr);
  if (qid_ == 0) {
    group_.queue_disconnected(true);
    controller->admin_closed();
    return;
  }
  group_.queue_disconnected(false);
  [[maybe_unused]] const auto sent =
      controller->thread.send([controller, qid = qid_, id = id_] { controller->remove_io_queue(qid, id); });
}

}  // namespace spdkio::nvmf
