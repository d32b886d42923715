#include "bdev_modules/nvme/nvme_channel.hpp"

#include <spdkio/bdev/channel_slot.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace spdkio::bdev::nvme_disk {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
using spec::NvmOpcode;

/// Whether the command may be executed twice: all of these leave the same behind.
constexpr bool repeatable(NvmOpcode opcode) noexcept { return opcode != NvmOpcode::copy; }

Task<> reset_controller(std::shared_ptr<nvme::ControllerCore> controller, Io& io) {
  auto resetting = controller->reset();
  const auto done = co_await as_result(std::move(resetting));
  io.complete(done ? IoStatus::success() : IoStatus::from(done.error()));
}

Task<> run_admin(std::shared_ptr<nvme::ControllerCore> controller, Io& io) {
  const auto command = std::bit_cast<spec::Command>(io.command->dwords);
  const DmaSpan data = io.iov_count != 0 ? io.iov[0] : DmaSpan{};
  auto running = controller->admin(command, data, "nvme_admin");
  const auto done = co_await as_result(std::move(running));
  if (done) io.result = done->dw0;
  io.complete(done ? IoStatus::success() : IoStatus::from(done.error()));
}

}  // namespace

NvmeChannel::NvmeChannel(std::shared_ptr<ThreadQueue> queue, std::shared_ptr<nvme::NamespaceState> space,
                         bool write_cache)
    : queue_(std::move(queue)), space_(std::move(space)), write_cache_(write_cache) {}

NvmeChannel::~NvmeChannel() = default;

NvmeChannel::Child* NvmeChannel::take(Io& io) noexcept {
  if (free_ == nullptr) {
    try {
      children_.push_back(std::make_unique<Child>());
    } catch (...) {
      return nullptr;
    }
    free_ = children_.back().get();
    free_->channel = this;
    free_->request.child = free_;
    free_->second.child = free_;
  }
  Child& child = *free_;
  free_ = child.next;
  child.io = &io;
  child.done = 0;
  child.pending = 0;
  child.stop_wanted = false;
  child.newer = nullptr;
  child.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &child;
  newest_ = &child;
  io.context<Child*>() = &child;
  return &child;
}

void NvmeChannel::give_back(Child& child) noexcept {
  if (!child.small_buffer.empty()) queue_->give_small_buffer(std::exchange(child.small_buffer, DmaBuf{}));
  (child.older != nullptr ? child.older->newer : oldest_) = child.newer;
  (child.newer != nullptr ? child.newer->older : newest_) = child.older;
  child.io = nullptr;
  child.next = free_;
  free_ = &child;
}

void NvmeChannel::submit(Io& io) noexcept {
  switch (io.type) {
    case IoType::reset: return spawn(io, reset_controller);
    case IoType::nvme_admin: return spawn(io, run_admin);
    case IoType::flush:
      if (!write_cache_) return io.complete(IoStatus::success());
      break;
    case IoType::abort:
      io.target->slot().abort(*io.target);
      io.result = 1;
      return io.complete(IoStatus::success());
    default: break;
  }
  Child* const child = take(io);
  if (child == nullptr) return io.complete(IoStatus::no_memory());
  const std::uint32_t max_blocks = space_->max_blocks.load(relaxed);
  switch (io.type) {
    case IoType::read: prepare(*child, spec::raw(NvmOpcode::read), 0, max_blocks); break;
    case IoType::write:
      prepare(*child, spec::raw(NvmOpcode::write), io.fua ? spec::nvm_flags::force_unit_access : 0, max_blocks);
      break;
    case IoType::compare: prepare(*child, spec::raw(NvmOpcode::compare), 0, max_blocks); break;
    case IoType::write_zeroes:
      prepare(*child, spec::raw(NvmOpcode::write_zeroes), 0, space_->max_zeroes_blocks.load(relaxed));
      break;
    case IoType::unmap:
      prepare(*child, spec::raw(NvmOpcode::dataset_management), 0, space_->max_deallocate_blocks.load(relaxed));
      break;
    case IoType::copy: {
      const auto& identify = space_->info()->identify;
      std::uint32_t piece = spec::nvm_max_blocks;
      if (identify.mssrl != 0) piece = std::min<std::uint32_t>(piece, identify.mssrl);
      if (identify.mcl != 0) piece = std::min<std::uint32_t>(piece, identify.mcl);
      prepare(*child, spec::raw(NvmOpcode::copy), 0, piece);
      break;
    }
    case IoType::flush:
      child->request.command = spec::nvm::flush(space_->nsid);
      child->request.direction = spec::DataTransfer::none;
      child->request.data_bytes = 0;
      child->request.iov_count = 0;
      child->request.repeatable = true;
      child->piece = 0;
      child->pending = 1;
      child->request.set_on_end(on_end);
      return queue_->submit(child->request);
    case IoType::compare_and_write: return submit_pair(*child);
    case IoType::nvme_io: return submit_raw(*child);
    default: give_back(*child); return io.complete(IoStatus::misuse(Misuse::not_supported));
  }
  start_piece(*child);
}

void NvmeChannel::prepare(Child& child, std::uint8_t opcode, std::uint32_t flags, std::uint32_t piece) noexcept {
  nvme::Request& request = child.request;
  request.command = {};
  request.command.opcode = opcode;
  request.command.nsid = space_->nsid;
  request.command.cdw12 = flags;
  request.direction = spec::data_transfer_of(opcode);
  request.iov = child.io->iov;
  request.iov_count = child.io->iov_count;
  request.data_offset = 0;
  request.data_bytes = 0;
  request.metadata = {};
  request.repeatable = repeatable(static_cast<NvmOpcode>(opcode));
  request.set_on_end(on_end);
  child.piece = std::max(piece, 1u);
}

void NvmeChannel::start_piece(Child& child) noexcept {
  const Io& io = *child.io;
  nvme::Request& request = child.request;
  const std::uint64_t first = child.done;
  const std::uint64_t count = std::min<std::uint64_t>(io.blocks - first, child.piece);
  child.done += count;
  child.pending = 1;
  switch (io.type) {
    case IoType::unmap:
    case IoType::copy:
      child.done = first;
      if (!fill_list(child, count)) {
        Io& failed = *child.io;
        give_back(child);
        return failed.complete(first == 0 ? IoStatus::no_memory() : IoStatus::system(ENOMEM));
      }
      child.done = first + count;
      break;
    default:
      request.command.set_cdw10_11(io.lba + first);
      request.command.cdw12 = (request.command.cdw12.value() & 0xFFFF'0000u) | static_cast<std::uint32_t>(count - 1);
      if (io.type != IoType::write_zeroes) {
        const std::uint32_t block = space_->transfer_bytes.load(relaxed);
        request.data_offset = first * block;
        request.data_bytes = static_cast<std::uint32_t>(count * block);
        if (!io.metadata.empty()) {
          const std::uint32_t metadata = space_->metadata_bytes.load(relaxed);
          request.metadata = DmaSpan::from_registered(io.metadata.data() + first * metadata, count * metadata);
        }
      } else {
        request.iov_count = 0;
      }
      break;
  }
  queue_->submit(request);
}

/// The list that goes with Dataset Management and Copy: one range, from `child.done`.
bool NvmeChannel::fill_list(Child& child, std::uint64_t count) noexcept {
  if (child.small_buffer.empty()) child.small_buffer = queue_->take_small_buffer();
  if (child.small_buffer.empty()) return false;
  const Io& io = *child.io;
  nvme::Request& request = child.request;
  if (io.type == IoType::unmap) {
    spec::DsmRange range;
    range.blocks = static_cast<std::uint32_t>(count);
    range.lba = io.lba + child.done;
    std::memcpy(child.small_buffer.data(), &range, sizeof range);
    request.command = spec::nvm::dataset_management(space_->nsid, 1, spec::dsm_deallocate);
    request.data_bytes = sizeof range;
  } else {
    spec::CopyRange range;
    range.lba = io.source_lba + child.done;
    range.blocks = static_cast<std::uint16_t>(count - 1);
    std::memcpy(child.small_buffer.data(), &range, sizeof range);
    request.command = spec::nvm::copy(space_->nsid, Lba{io.lba + child.done}, 1);
    request.data_bytes = sizeof range;
  }
  child.list = child.small_buffer.span();
  request.iov = &child.list;
  request.iov_count = 1;
  request.data_offset = 0;
  return true;
}

void NvmeChannel::submit_pair(Child& child) noexcept {
  const Io& io = *child.io;
  const std::uint64_t most = space_->info()->compare_and_write_blocks;
  if (io.blocks > std::min<std::uint64_t>(most, space_->max_blocks.load(relaxed))) {
    Io& refused = *child.io;
    give_back(child);
    return refused.complete(IoStatus::nvme(nvme_sc::invalid_field, Outcome::never_submitted));
  }
  const auto bytes = static_cast<std::uint32_t>(io.blocks * space_->transfer_bytes.load(relaxed));
  const auto fill = [&](ChildRequest& request, NvmOpcode opcode, spec::Fuse fuse, const DmaSpan* iov,
                        std::uint32_t count) {
    request.command = spec::nvm::ranged(opcode, space_->nsid, io.range());
    request.command.set_fuse(fuse);
    request.direction = spec::DataTransfer::host_to_controller;
    request.iov = iov;
    request.iov_count = count;
    request.data_offset = 0;
    request.data_bytes = bytes;
    request.metadata = {};
    request.repeatable = false;
    request.set_on_end(on_end);
  };
  fill(child.request, NvmOpcode::compare, spec::Fuse::first, io.iov, io.iov_count);
  fill(child.second, NvmOpcode::write, spec::Fuse::second, io.write_iov, io.write_iov_count);
  child.piece = 0;
  child.pending = 2;
  queue_->submit_pair(child.request, child.second);
}

void NvmeChannel::submit_raw(Child& child) noexcept {
  const Io& io = *child.io;
  nvme::Request& request = child.request;
  request.command = std::bit_cast<spec::Command>(io.command->dwords);
  request.command.nsid = space_->nsid;
  request.direction = io.iov_count != 0 ? spec::data_transfer_of(request.command.opcode) : spec::DataTransfer::none;
  request.iov = io.iov;
  request.iov_count = io.iov_count;
  request.data_offset = 0;
  std::uint64_t bytes = 0;
  for (const DmaSpan& span : io.spans()) bytes += span.size();
  request.data_bytes = static_cast<std::uint32_t>(bytes);
  request.metadata = io.metadata;
  request.repeatable = false;
  request.set_on_end(on_end);
  child.piece = 0;
  child.pending = 1;
  queue_->submit(request);
}

void NvmeChannel::spawn(Io& io, Task<> (*make)(std::shared_ptr<nvme::ControllerCore>, Io&)) noexcept {
  try {
    CurrentThread::spawn(make(queue_->controller(), io), "nvme bdev").detach();
  } catch (...) {
    io.complete(IoStatus::no_memory());
  }
}

void NvmeChannel::abort(Io& io) noexcept {
  if (io.type == IoType::reset || io.type == IoType::nvme_admin) return;  // they run to their end
  Child& child = *io.context<Child*>();
  child.stop_wanted = true;
  if (child.pending == 2) return;  // a pair half aborted would be worse than one that ends
  queue_->cancel(child.request);
}

void NvmeChannel::device_removed() noexcept {
  for (Child* child = oldest_; child != nullptr;) {
    Child* const next = child->newer;
    if (child->pending == 1) queue_->cancel(child->request);
    child = next;
  }
}

void NvmeChannel::on_end(nvme::Request& request) noexcept {
  Child& child = *static_cast<ChildRequest&>(request).child;
  if (--child.pending == 0) child.channel->ended(child);
}

void NvmeChannel::ended(Child& child) noexcept {
  Io& io = *child.io;
  const nvme::Request& request =
      child.request.succeeded() && io.type == IoType::compare_and_write ? child.second : child.request;
  if (request.succeeded()) [[likely]] {
    if (child.piece != 0 && child.done < io.blocks) {
      if (!child.stop_wanted) return start_piece(child);
      give_back(child);
      return io.complete(IoStatus::cancelled(modifies(io.type) ? Outcome::may_have_executed : Outcome::aborted));
    }
    if (io.type == IoType::nvme_io) io.result = request.completion.dw0;
    give_back(child);
    return io.complete(IoStatus::success());
  }
  IoStatus status;
  try {
    status = status_of(child, request);
  } catch (...) {
    status = IoStatus::system(EIO);
  }
  give_back(child);
  io.complete(status);
}

IoStatus NvmeChannel::status_of(const Child& child, const nvme::Request& request) const {
  switch (request.end) {
    case nvme::RequestEnd::answered: {
      const NvmeStatus status = request.completion.status();
      if (child.stop_wanted && status.sct == 0 && status.sc == nvme_sc::abort_requested.sc) {
        return IoStatus::cancelled(Outcome::aborted);
      }
      return IoStatus::nvme(status);
    }
    case nvme::RequestEnd::refused:
      return request.errno_value == ENOMEM ? IoStatus::no_memory()
                                           : IoStatus::system(request.errno_value, Outcome::never_submitted);
    case nvme::RequestEnd::lost: break;
  }
  if (child.stop_wanted) return IoStatus::cancelled(request.outcome);
  if (!space_->active.load(relaxed)) return IoStatus::system(ENODEV, request.outcome);
  // A status says why there is no connection; it is none of this request.
  const Error why = queue_->why();
  return IoStatus::system(why.nvme_status() ? ENOTCONN : why.to_errno(), request.outcome);
}

}  // namespace spdkio::bdev::nvme_disk
