// The commands of I/O queues, as requests to the block layer.
#include <spdkio/spec/nvm_command.hpp>

#include <bit>
#include <cstring>

#include "nvmf/poll_group.hpp"
#include "nvmf/queue.hpp"

namespace spdkio::nvmf {

using bdev::IoType;

void Queue::execute_io(Request& request) noexcept {
  if (!controller_->enabled()) return finish(request, sc::command_sequence_error);
  if (controller_->is_discovery()) return finish(request, sc::invalid_opcode);
  if (view_->paused()) [[unlikely]]
    return view_->park(request);
  NamespaceView* const ns = view_->find(request.command.nsid);
  if (ns == nullptr) [[unlikely]]
    return finish(request, sc::invalid_namespace);
  if (request.fused == 2) return compare_and_write(request, *ns);
  switch (static_cast<spec::NvmOpcode>(request.command.opcode)) {
    case spec::NvmOpcode::read:
    case spec::NvmOpcode::write:
    case spec::NvmOpcode::compare: return read_or_write(request, *ns);
    case spec::NvmOpcode::flush:
      // Nothing to do for a device that keeps nothing back.
      if (!ns->traits->supports(IoType::flush)) return finish(request, sc::success);
      request.type = IoType::flush;
      request.lba = 0;
      request.blocks = 0;
      request.iov_count = 0;
      return submit(request, *ns, 0);
    case spec::NvmOpcode::write_zeroes: return ranged(request, *ns, IoType::write_zeroes);
    case spec::NvmOpcode::dataset_management: return deallocate(request, *ns);
    case spec::NvmOpcode::copy: return copy(request, *ns);
    default: return finish(request, sc::invalid_opcode);
  }
}

void Queue::read_or_write(Request& request, NamespaceView& ns) noexcept {
  const LbaRange range = spec::nvm::range_of(request.command);
  const std::uint64_t bytes = range.count.value * ns.block_size;
  if (request.command.opcode == spec::raw(spec::NvmOpcode::read)) {
    if (bytes > request.command.sgl().length.value()) return finish(request, sc::sgl_length_invalid);
    if (!take_buffer(request, static_cast<std::uint32_t>(bytes))) return;
    request.controller_to_host = static_cast<std::uint32_t>(bytes);
    request.type = IoType::read;
    ++counters_.read_commands;
  } else {
    if (bytes > request.host_to_controller) return finish(request, sc::sgl_length_invalid);
    request.data = DmaSpan::from_registered(request.data.data(), bytes);
    request.type = request.command.opcode == spec::raw(spec::NvmOpcode::write) ? IoType::write : IoType::compare;
    request.fua = (request.command.cdw12.value() & spec::nvm_flags::force_unit_access) != 0;
    ++counters_.write_commands;
  }
  request.lba = range.first.value;
  request.blocks = range.count.value;
  request.iov = &request.data;
  request.iov_count = 1;
  submit(request, ns, bytes);
}

void Queue::compare_and_write(Request& request, NamespaceView& ns) noexcept {
  Request& first = *request.partner;
  const LbaRange range = spec::nvm::range_of(request.command);
  const std::uint64_t bytes = range.count.value * ns.block_size;
  const bool pair = first.command.opcode == spec::raw(spec::NvmOpcode::compare) &&
                    request.command.opcode == spec::raw(spec::NvmOpcode::write) &&
                    first.command.nsid == request.command.nsid && spec::nvm::range_of(first.command) == range;
  if (!pair) return finish(request, sc::invalid_field);
  if (bytes > first.host_to_controller || bytes > request.host_to_controller) {
    return finish(request, sc::sgl_length_invalid);
  }
  first.stage = Stage::executing;
  first.data = DmaSpan::from_registered(first.data.data(), bytes);
  request.second_data[0] = DmaSpan::from_registered(request.data.data(), bytes);
  request.type = IoType::compare_and_write;
  request.lba = range.first.value;
  request.blocks = range.count.value;
  request.iov = &first.data;
  request.iov_count = 1;
  request.write_iov = request.second_data.data();
  request.write_iov_count = 1;
  submit(request, ns, bytes);
}

void Queue::ranged(Request& request, NamespaceView& ns, IoType type) noexcept {
  const LbaRange range = spec::nvm::range_of(request.command);
  request.type = type;
  request.lba = range.first.value;
  request.blocks = range.count.value;
  request.iov_count = 0;
  submit(request, ns, 0);
}

void Queue::deallocate(Request& request, NamespaceView& ns) noexcept {
  const std::uint32_t ranges = (request.command.cdw10.value() & 0xFF) + 1;
  if (ranges * sizeof(spec::DsmRange) > request.host_to_controller) return finish(request, sc::sgl_length_invalid);
  const std::uint64_t num_blocks = ns.traits->device->num_blocks().value;
  for (std::uint32_t i = 0; i < ranges; ++i) {
    spec::DsmRange range;
    std::memcpy(&range, request.data.data() + i * sizeof range, sizeof range);
    if (!LbaRange{Lba{range.lba}, BlockCount{range.blocks}}.fits(BlockCount{num_blocks})) {
      return finish(request, sc::lba_out_of_range);
    }
  }
  // The attributes are hints: what can't be done about them is no failure.
  const bool wanted = (request.command.cdw11.value() & spec::dsm_deallocate) != 0;
  if (!wanted || !ns.traits->supports(IoType::unmap)) {
    return finish(request, ns.traits->writable ? sc::success : sc::write_to_read_only_range);
  }
  request.type = IoType::unmap;
  request.iov_count = 0;
  request.pieces_left = ranges;
  request.next_piece = 0;
  submit_piece(request, ns);
}

void Queue::copy(Request& request, NamespaceView& ns) noexcept {
  const std::uint32_t ranges = (request.command.cdw12.value() & 0xFF) + 1;
  const std::uint32_t format = request.command.cdw12.value() >> 8 & 0xF;
  if (format != 0) return finish(request, sc::invalid_field);
  if (ranges * sizeof(spec::CopyRange) > request.host_to_controller) return finish(request, sc::sgl_length_invalid);
  request.type = IoType::copy;
  request.iov_count = 0;
  request.pieces_left = ranges;
  request.next_piece = 0;
  request.lba = request.command.cdw10_11();
  request.blocks = 0;
  submit_piece(request, ns);
}

/// The next range of a Dataset Management or Copy command.
void Queue::submit_piece(Request& request, NamespaceView& ns) noexcept {
  if (request.type == IoType::copy) {
    spec::CopyRange range;
    std::memcpy(&range, request.data.data() + request.next_piece * sizeof range, sizeof range);
    request.lba += request.blocks;  // behind what was copied before
    request.blocks = range.blocks.value() + 1u;
    request.source_lba = range.lba;
  } else {
    spec::DsmRange range;
    std::memcpy(&range, request.data.data() + request.next_piece * sizeof range, sizeof range);
    request.lba = range.lba;
    request.blocks = range.blocks;
  }
  ++request.next_piece;
  --request.pieces_left;
  if (request.blocks == 0) {
    if (request.pieces_left == 0) return finish(request, sc::success);
    return submit_piece(request, ns);
  }
  submit(request, ns, 0);
}

void Queue::submit(Request& request, NamespaceView& ns, std::uint64_t data_bytes) noexcept {
  bdev::ChannelSlot& slot = *ns.channel.slot();
  bdev::IoStatus refused = slot.check(request, data_bytes);
  if (!ns.traits->writable && bdev::modifies(request.type)) refused = bdev::IoStatus::misuse(Misuse::read_only);
  if (!refused.ok()) [[unlikely]]
    return finish(request, status_of(refused, request.type));
  request.ns = &ns;
  request.stage = Stage::executing;
  request.set_on_complete(on_io_complete);
  view_->started(ns);
  slot.submit(request);
}

void Queue::on_io_complete(bdev::Io& io) noexcept {
  auto& request = static_cast<Request&>(io);
  request.queue->io_ended(request);
}

void Queue::io_ended(Request& request) noexcept {
  NamespaceView& ns = *request.ns;
  request.ns = nullptr;
  const NvmeStatus status = status_of(request.status(), request.type);
  if (status.ok() && request.pieces_left > 0 && !closing() && !request.aborting) {
    // The next piece is counted before this one is not any more: a drain waits for the whole command.
    view_->started(ns);
    SubsystemView* const view = view_;
    submit_piece(request, ns);
    view->ended(ns);
    return;
  }
  SubsystemView* const view = view_;
  if (request.type == IoType::compare_and_write && request.partner != nullptr) {
    Request& first = *request.partner;
    request.partner = first.partner = nullptr;
    first.fused = request.fused = 0;
    finish(first, status);
    finish(request, status.ok() ? status : sc::failed_fused);
  } else {
    finish(request, status);
  }
  view->ended(ns);
}

}  // namespace spdkio::nvmf
