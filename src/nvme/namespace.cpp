#include <spdkio/nvme/namespace.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/nvm_command.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "nvme/queue_state.hpp"

namespace spdkio::nvme {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

Error misuse(Misuse code, const char* operation, std::string message) {
  return Error(code, std::move(message)).with_operation(operation).with_outcome(Outcome::never_submitted);
}

QueueState& require_queue(const Qpair& qpair, const char* operation) {
  QueueState* const queue = qpair.queue();
  if (queue == nullptr) throw misuse(Misuse::already_closed, operation, "the queue pair was closed");
  if (&queue->core() != spdkio::detail::ThreadCore::current()) {
    throw misuse(Misuse::wrong_thread, operation,
                 fmt::format("the queue pair belongs to thread '{}'", queue->core().name()));
  }
  return *queue;
}

/// A piece of memory from the queue pair, given back at the end.
class SmallBuffer {
 public:
  SmallBuffer(QueueState& queue, const char* operation) : queue_(queue), buffer_(queue.take_small_buffer()) {
    if (buffer_.empty()) {
      throw Error(std::errc::not_enough_memory).with_operation(operation).with_outcome(Outcome::never_submitted);
    }
  }
  SmallBuffer(const SmallBuffer&) = delete;
  ~SmallBuffer() { queue_.give_small_buffer(std::move(buffer_)); }
  DmaSpan first(std::size_t bytes) const { return buffer_.subspan(0, bytes); }
  std::byte* data() const noexcept { return buffer_.data(); }

 private:
  QueueState& queue_;
  DmaBuf buffer_;
};

}  // namespace

void Namespace::fill_transfer(Operation<>& operation, spec::NvmOpcode opcode, LbaRange range,
                              const NsIoOptions& options) const noexcept {
  std::uint32_t flags = options.flags;
  if (options.fua) flags |= spec::nvm_flags::force_unit_access;
  operation.command.opcode = spec::raw(opcode);
  operation.command.nsid = state_->nsid;
  operation.command.cdw12 = flags;
  operation.repeatable = true;
  operation.metadata = options.metadata;
  if (!active() || !range.fits(num_blocks())) operation.refuse_early(Misuse::out_of_range);
  if (opcode == spec::NvmOpcode::compare && (state_->oncs.load(relaxed) & spec::oncs::compare) == 0) {
    operation.refuse_early(Misuse::not_supported);
  }
  operation.set_range(range, state_->max_blocks.load(relaxed), block_bytes(), state_->metadata_bytes.load(relaxed));
}

Operation<> Namespace::ranged(const char* name, spec::NvmOpcode opcode, const Qpair& qpair, LbaRange range,
                              std::uint32_t piece_blocks, std::uint16_t needs, std::uint32_t flags) const noexcept {
  Operation<> operation(qpair.queue(), name);
  operation.command.opcode = spec::raw(opcode);
  operation.command.nsid = state_->nsid;
  operation.command.cdw12 = flags;
  operation.repeatable = true;
  if (!active() || !range.fits(num_blocks())) operation.refuse_early(Misuse::out_of_range);
  if ((state_->oncs.load(relaxed) & needs) == 0) operation.refuse_early(Misuse::not_supported);
  operation.set_range(range, piece_blocks, 0, 0);
  return operation;
}

Operation<> Namespace::write_zeroes(const Qpair& qpair, LbaRange range, bool deallocate) const {
  return ranged("write_zeroes", spec::NvmOpcode::write_zeroes, qpair, range, state_->max_zeroes_blocks.load(relaxed),
                spec::oncs::write_zeroes, deallocate ? spec::nvm_flags::deallocate : 0);
}

Operation<> Namespace::verify(const Qpair& qpair, LbaRange range) const {
  return ranged("verify", spec::NvmOpcode::verify, qpair, range, state_->max_blocks.load(relaxed), spec::oncs::verify,
                0);
}

Operation<> Namespace::flush(const Qpair& qpair) const {
  Operation<> operation(qpair.queue(), "flush");
  operation.command = spec::nvm::flush(state_->nsid);
  operation.repeatable = true;
  if (!active()) operation.refuse_early(Misuse::out_of_range);
  return operation;
}

Operation<> Namespace::deallocate(const Qpair& qpair, LbaRange range) const {
  Operation<> operation(qpair.queue(), "deallocate");
  operation.command = spec::nvm::dataset_management(state_->nsid, 1, spec::dsm_deallocate);
  operation.repeatable = true;
  const bool fits = active() && range.fits(num_blocks()) && range.count.value != 0;
  if (!fits) operation.refuse_early(Misuse::out_of_range);
  if ((state_->oncs.load(relaxed) & spec::oncs::dataset_management) == 0) {
    operation.refuse_early(Misuse::not_supported);
  }
  operation.set_deallocate(range, state_->max_deallocate_blocks.load(relaxed));
  return operation;
}

Task<> Namespace::deallocate(const Qpair& qpair, std::span<const LbaRange> ranges) const {
  const auto state = state_;
  QueueState& queue = require_queue(qpair, "deallocate");
  if (ranges.empty() || ranges.size() > spec::dsm_max_ranges) {
    throw misuse(Misuse::invalid_argument, "deallocate",
                 fmt::format("{} ranges; 1 to {} are possible", ranges.size(), spec::dsm_max_ranges));
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].fits(BlockCount{state->num_blocks.load(relaxed)})) continue;
    throw misuse(Misuse::out_of_range, "deallocate", fmt::format("range {}", i)).with_range(ranges[i]);
  }
  if ((state->oncs.load(relaxed) & spec::oncs::dataset_management) == 0) {
    throw misuse(Misuse::not_supported, "deallocate", "the controller does not support it");
  }
  const std::uint64_t most_in_range = state->max_deallocate_blocks.load(relaxed);
  const std::uint64_t most_ranges = state->max_deallocate_ranges.load(relaxed);
  const std::uint64_t most_in_all = state->max_deallocate_total.load(relaxed);
  const SmallBuffer buffer(queue, "deallocate");
  std::size_t next = 0;
  std::uint64_t done = 0;  // of range `next`
  while (next < ranges.size()) {
    std::size_t count = 0;
    for (std::uint64_t total = 0; next < ranges.size() && count < most_ranges && total < most_in_all;) {
      const LbaRange& from = ranges[next];
      spec::DsmRange range;
      const std::uint64_t blocks = std::min({from.count.value - done, most_in_range, most_in_all - total});
      range.blocks = static_cast<std::uint32_t>(blocks);
      range.lba = from.first.value + done;
      std::memcpy(buffer.data() + count++ * sizeof range, &range, sizeof range);
      total += blocks;
      done += blocks;
      if (done < from.count.value) continue;
      done = 0;
      ++next;
    }
    Operation<> operation(&queue, "deallocate");
    operation.command =
        spec::nvm::dataset_management(state->nsid, static_cast<std::uint32_t>(count), spec::dsm_deallocate);
    operation.repeatable = true;
    operation.set_data(buffer.first(count * sizeof(spec::DsmRange)), spec::DataTransfer::host_to_controller);
    co_await operation;
  }
}

Task<> Namespace::copy(const Qpair& qpair, std::span<const LbaRange> from, Lba to) const {
  const auto state = state_;
  QueueState& queue = require_queue(qpair, "copy");
  constexpr std::size_t most_ranges = QueueState::small_buffer_bytes / sizeof(spec::CopyRange);
  if (from.empty() || from.size() > most_ranges) {
    throw misuse(Misuse::invalid_argument, "copy",
                 fmt::format("{} ranges; 1 to {} are possible", from.size(), most_ranges));
  }
  const BlockCount num_blocks{state->num_blocks.load(relaxed)};
  const SmallBuffer buffer(queue, "copy");
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!from[i].fits(num_blocks) || from[i].count.value == 0 || from[i].count.value > spec::nvm_max_blocks) {
      throw misuse(Misuse::out_of_range, "copy", fmt::format("source range {}", i)).with_range(from[i]);
    }
    spec::CopyRange range;
    range.lba = from[i].first.value;
    range.blocks = static_cast<std::uint16_t>(from[i].count.value - 1);
    std::memcpy(buffer.data() + i * sizeof range, &range, sizeof range);
    total += from[i].count.value;
  }
  const LbaRange destination{to, BlockCount{total}};
  if (!destination.fits(num_blocks))
    throw misuse(Misuse::out_of_range, "copy", "the destination").with_range(destination);
  Operation<> operation(&queue, "copy");
  operation.command = spec::nvm::copy(state->nsid, to, static_cast<std::uint32_t>(from.size()));
  if ((state->oncs.load(relaxed) & spec::oncs::copy) == 0) operation.refuse_early(Misuse::not_supported);
  operation.set_data(buffer.first(from.size() * sizeof(spec::CopyRange)), spec::DataTransfer::host_to_controller);
  co_await operation;
}

// ---- compare and write

namespace {

struct FusedRequest : Request {
  Event done;
};

void fill(FusedRequest& request, spec::NvmOpcode opcode, spec::Fuse fuse, std::uint32_t nsid, LbaRange at,
          const DmaSpan& data) {
  request.command = spec::nvm::ranged(opcode, nsid, at);
  request.command.set_fuse(fuse);
  request.iov = &data;
  request.iov_count = 1;
  request.data_bytes = static_cast<std::uint32_t>(data.size());
  request.direction = spec::DataTransfer::host_to_controller;
  request.set_on_end([](Request& ended) noexcept { static_cast<FusedRequest&>(ended).done.set(); });
}

Error error_of(const Request& request, const QueueState& queue) {
  if (request.end == RequestEnd::answered) return Error(request.completion.status());
  if (request.end == RequestEnd::refused) return Error::from_errno(request.errno_value).with_outcome(request.outcome);
  return queue.why().with_outcome(request.outcome);
}

/// Awaits the real end of a request that the controller has; a stop request only asks for it.
Task<> await_end(FusedRequest& request) {
  while (!request.done.is_set()) {
    auto waiting = request.done.wait();
    const auto waited = co_await as_result(std::move(waiting));
    if (!waited && !request.done.is_set()) co_await yield();
  }
}

}  // namespace

Task<> Namespace::compare_and_write(const Qpair& qpair, DmaSpan expected, DmaSpan data, LbaRange at) const {
  const auto state = state_;
  constexpr const char* name = "compare_and_write";
  QueueState& queue = require_queue(qpair, name);
  if (!state->fused_compare_and_write.load(relaxed)) {
    throw misuse(Misuse::not_supported, name, "the controller has no fused Compare and Write");
  }
  if (!state->active.load(relaxed) || at.count.value == 0 || !at.fits(BlockCount{state->num_blocks.load(relaxed)})) {
    throw misuse(Misuse::out_of_range, name, {}).with_range(at);
  }
  const std::uint64_t most =
      std::min<std::uint64_t>(state->info()->compare_and_write_blocks, state->max_blocks.load(relaxed));
  if (at.count.value > most) {
    throw misuse(Misuse::out_of_range, name,
                 fmt::format("{} blocks; the controller does {} at once", at.count.value, most))
        .with_range(at);
  }
  const std::uint64_t bytes = at.count.value * state->transfer_bytes.load(relaxed);
  if (expected.size() != bytes || data.size() != bytes) {
    throw misuse(Misuse::buffer_size, name,
                 fmt::format("{} and {} bytes of buffer for {} bytes", expected.size(), data.size(), bytes))
        .with_range(at);
  }
  FusedRequest compare;
  FusedRequest write;
  fill(compare, spec::NvmOpcode::compare, spec::Fuse::first, state->nsid, at, expected);
  fill(write, spec::NvmOpcode::write, spec::Fuse::second, state->nsid, at, data);
  queue.submit_pair(compare, write);
  auto comparing = await_end(compare);
  co_await std::move(comparing);
  auto writing = await_end(write);
  co_await std::move(writing);
  const Request& failed = compare.succeeded() ? write : compare;
  if (failed.succeeded()) co_return;
  throw error_of(failed, queue).with_operation(name).with_device(queue.settings().device).with_range(at);
}

// ---- reservations

namespace {

template <class Data>
Task<> reserve(const Qpair& qpair, std::shared_ptr<NamespaceState> state, spec::Command command, Data data,
               const char* name) {
  QueueState& queue = require_queue(qpair, name);
  if ((state->oncs.load(relaxed) & spec::oncs::reservations) == 0) {
    throw misuse(Misuse::not_supported, name, "the controller has no reservations");
  }
  const SmallBuffer buffer(queue, name);
  std::memcpy(buffer.data(), &data, sizeof data);
  auto operation = qpair.execute(command, buffer.first(sizeof data));
  const auto done = co_await as_result(operation);
  if (!done) throw done.error().with_operation(name);
}

}  // namespace

Task<> Namespace::reservation_register(const Qpair& qpair, ReservationRegister what) const {
  spec::ReservationRegisterData data;
  data.current_key = what.current_key;
  data.new_key = what.new_key;
  return reserve(qpair, state_,
                 spec::reservation_register_command(nsid(), what.action, what.ignore_existing_key, what.persist), data,
                 "reservation_register");
}

Task<> Namespace::reservation_acquire(const Qpair& qpair, ReservationAcquire what) const {
  spec::ReservationAcquireData data;
  data.current_key = what.current_key;
  data.preempt_key = what.preempt_key;
  return reserve(qpair, state_, spec::reservation_acquire_command(nsid(), what.action, what.type), data,
                 "reservation_acquire");
}

Task<> Namespace::reservation_release(const Qpair& qpair, ReservationRelease what) const {
  spec::ReservationReleaseData data;
  data.current_key = what.current_key;
  return reserve(qpair, state_, spec::reservation_release_command(nsid(), what.action, what.type), data,
                 "reservation_release");
}

Task<ReservationReport> Namespace::reservation_report(const Qpair& qpair) const {
  const auto state = state_;
  constexpr const char* name = "reservation_report";
  QueueState& queue = require_queue(qpair, name);
  const SmallBuffer buffer(queue, name);
  std::memset(buffer.data(), 0, QueueState::small_buffer_bytes);
  // Fabrics and every controller with 128-bit host identifiers give the extended form.
  auto operation = qpair.execute(spec::reservation_report_command(state->nsid, QueueState::small_buffer_bytes, true),
                                 buffer.first(QueueState::small_buffer_bytes));
  auto done = co_await as_result(operation);
  if (!done) throw done.error().with_operation(name);
  spec::ReservationStatusExtended head;
  std::memcpy(&head, buffer.data(), sizeof head);
  ReservationReport report;
  report.generation = head.head.generation;
  report.type = static_cast<spec::ReservationType>(head.head.type);
  report.persists_through_power_loss = head.head.persist_through_power_loss != 0;
  constexpr std::size_t room =
      (QueueState::small_buffer_bytes - sizeof head) / sizeof(spec::RegisteredControllerExtended);
  const std::size_t count = std::min<std::size_t>(head.head.registrants, room);
  for (std::size_t i = 0; i < count; ++i) {
    spec::RegisteredControllerExtended entry;
    std::memcpy(&entry, buffer.data() + sizeof head + i * sizeof entry, sizeof entry);
    report.registrants.push_back({.controller_id = entry.cntlid,
                                  .holds_reservation = (entry.status & 1) != 0,
                                  .key = entry.key,
                                  .host_id = entry.host_id});
  }
  co_return report;
}

}  // namespace spdkio::nvme
