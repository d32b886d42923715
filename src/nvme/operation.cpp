#include <spdkio/nvme/operation.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/nvm_command.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "nvme/queue_state.hpp"

namespace spdkio::nvme {

OperationBase::OperationBase(const OperationBase& other) noexcept
    : Request(other),
      ReadyNode(),
      StopNode(on_stop),
      target_(other.target_),
      name_(other.name_),
      single_(other.single_),
      total_bytes_(other.total_bytes_),
      range_(other.range_),
      blocks_left_(other.blocks_left_),
      piece_blocks_(other.piece_blocks_),
      block_bytes_(other.block_bytes_),
      metadata_bytes_(other.metadata_bytes_),
      all_metadata_(other.all_metadata_),
      early_(other.early_),
      has_single_(other.has_single_),
      needs_small_buffer_(other.needs_small_buffer_) {}

void OperationBase::set_data(DmaSpans data, spec::DataTransfer way) noexcept {
  iov = data.data();
  iov_count = static_cast<std::uint32_t>(data.size());
  direction = way;
  total_bytes_ = 0;
  for (const DmaSpan& piece : data) total_bytes_ += piece.size();
}

void OperationBase::set_range(LbaRange range, std::uint32_t piece_blocks, std::uint32_t block_bytes,
                              std::uint32_t metadata_bytes) noexcept {
  range_ = range;
  piece_blocks_ = std::max(piece_blocks, 1u);
  block_bytes_ = block_bytes;
  metadata_bytes_ = metadata_bytes;
  all_metadata_ = metadata;
  if (range.count.value == 0) return refuse_early(Misuse::out_of_range);
  if (block_bytes != 0 && total_bytes_ != range.count.value * block_bytes) return refuse_early(Misuse::buffer_size);
  if (!metadata.empty() && metadata.size() != range.count.value * metadata_bytes) refuse_early(Misuse::buffer_size);
}

bool OperationBase::start(std::coroutine_handle<> waiting, spdkio::detail::PromiseBase* promise) noexcept {
  if (early_ == Misuse{}) [[likely]] {
    if (target_ == nullptr) {
      early_ = Misuse::already_closed;
    } else if (&target_->core() != spdkio::detail::ThreadCore::current()) {
      early_ = Misuse::wrong_thread;
    }
  }
  if (early_ != Misuse{}) [[unlikely]]
    return false;
  spdkio::detail::StopState* const stop = promise != nullptr ? promise->stop_state() : nullptr;
  if (stop != nullptr && stop->stop_requested()) [[unlikely]] {
    stopped_early_ = true;
    return false;
  }
  if (!prepare()) [[unlikely]] {
    end = RequestEnd::refused;
    outcome = Outcome::never_submitted;
    errno_value = ENOMEM;
    return false;
  }
  set_waiting(waiting, promise);
  state_ = State::submitting;
  set_on_end(on_end);
  target_->submit(*this);
  if (state_ == State::done) {
    if (target_->core().take_inline_turn()) return false;
    target_->core().make_ready(*this);
    return true;
  }
  state_ = State::in_flight;
  if (stop != nullptr) stop->add(*this);
  if (promise != nullptr) promise->set_waiting_on(name_);
  return true;
}

bool OperationBase::prepare() noexcept {
  if (has_single_) {
    iov = &single_;
    iov_count = 1;
  }
  if (needs_small_buffer_) {
    small_buffer_ = target_->take_small_buffer();
    if (small_buffer_.empty()) return false;
    single_ = small_buffer_.subspan(0, sizeof(spec::DsmRange));
    iov = &single_;
    iov_count = 1;
    direction = spec::DataTransfer::host_to_controller;
    data_bytes = sizeof(spec::DsmRange);
    blocks_left_ = range_.count.value;
    next_piece();
  } else if (piece_blocks_ != 0) {
    blocks_left_ = range_.count.value;
    next_piece();
  } else {
    data_bytes = static_cast<std::uint32_t>(total_bytes_);
  }
  return true;
}

/// The command and the part of the data for the next piece of the range.
void OperationBase::next_piece() noexcept {
  const std::uint64_t done = range_.count.value - blocks_left_;
  const std::uint64_t count = std::min<std::uint64_t>(blocks_left_, piece_blocks_);
  blocks_left_ -= count;
  if (needs_small_buffer_) {
    spec::DsmRange piece;
    piece.blocks = static_cast<std::uint32_t>(count);
    piece.lba = range_.first.value + done;
    std::memcpy(small_buffer_.data(), &piece, sizeof piece);
    return;
  }
  command.set_cdw10_11(range_.first.value + done);
  command.cdw12 = (command.cdw12.value() & 0xFFFF'0000u) | static_cast<std::uint32_t>(count - 1);
  data_offset = done * block_bytes_;
  data_bytes = static_cast<std::uint32_t>(count * block_bytes_);
  if (!all_metadata_.empty()) {
    metadata = DmaSpan::from_registered(all_metadata_.data() + done * metadata_bytes_, count * metadata_bytes_);
  }
}

void OperationBase::on_end(Request& request) noexcept {
  auto& self = static_cast<OperationBase&>(request);
  if (self.blocks_left_ != 0 && self.succeeded() && !self.stop_requested_) [[unlikely]] {
    self.next_piece();
    self.target_->submit(self);
    return;
  }
  if (!self.small_buffer_.empty()) self.target_->give_small_buffer(std::move(self.small_buffer_));
  if (self.state_ == State::submitting) {
    self.state_ = State::done;
    return;
  }
  self.state_ = State::done;
  self.unlink();
  self.target_->core().make_ready(self);
}

void OperationBase::on_stop(spdkio::detail::StopNode& node) noexcept {
  auto& self = static_cast<OperationBase&>(node);
  self.stop_requested_ = true;
  self.target_->cancel(self);
}

Error OperationBase::error() const {
  const auto finish = [this](Error error) {
    error = error.with_operation(name_);
    if (target_ != nullptr) error = error.with_device(target_->settings().device);
    return range_.count.value != 0 ? error.with_range(range_) : error;
  };
  if (early_ != Misuse{}) {
    std::string message;
    switch (early_) {
      case Misuse::already_closed: message = "the queue pair was closed"; break;
      case Misuse::wrong_thread:
        message = fmt::format("the queue pair belongs to thread '{}'", target_->core().name());
        break;
      case Misuse::out_of_range:
        message = range_.count.value == 0 ? "the range is empty" : "beyond the end of the namespace";
        break;
      case Misuse::buffer_size:
        message = fmt::format("{} bytes of buffer for {} block(s) of {} bytes", total_bytes_, range_.count.value,
                              block_bytes_);
        break;
      case Misuse::not_supported: message = "the controller does not support it"; break;
      default: break;
    }
    return finish(Error(early_, std::move(message)).with_outcome(Outcome::never_submitted));
  }
  if (stopped_early_) {
    return finish(Error(std::errc::operation_canceled, "stopped").with_outcome(Outcome::never_submitted));
  }
  switch (end) {
    case RequestEnd::refused: return finish(Error::from_errno(errno_value).with_outcome(Outcome::never_submitted));
    case RequestEnd::lost:
      if (stop_requested_) {
        return finish(Error(std::errc::operation_canceled, "stopped").with_outcome(outcome));
      }
      return finish(target_->why().with_outcome(outcome));
    case RequestEnd::answered: break;
  }
  if (completion.ok()) {  // pieces are missing because of a stop request
    return finish(Error(std::errc::operation_canceled, "stopped between two commands, some blocks are done")
                      .with_outcome(Outcome::may_have_executed));
  }
  const NvmeStatus status = completion.status();
  const bool aborted = status.sct == 0 && status.sc == nvme_sc::abort_requested.sc;
  if (aborted && stop_requested_) {
    return finish(Error(std::errc::operation_canceled, "aborted").with_outcome(Outcome::aborted));
  }
  std::string message;
  if (command.opcode == spec::fabrics::opcode) message = spec::fabrics::status_text(status);
  return finish(Error(status, std::move(message)).with_outcome(aborted ? Outcome::aborted : Outcome::failed));
}

void OperationBase::destroyed_in_flight() const noexcept {
  // The controller may still write into this frame's buffers; going on would corrupt memory.
  log::critical("a {} on '{}' was destroyed while it was in flight", name_, target_->settings().device);
  std::abort();
}

}  // namespace spdkio::nvme
