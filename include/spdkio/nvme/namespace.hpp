// Namespace: blocks behind a controller.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/base/uuid.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/nvme/operation.hpp>
#include <spdkio/nvme/qpair.hpp>
#include <spdkio/nvme/reservation.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_namespace.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <ranges>
#include <span>

namespace spdkio::nvme {

/// What Identify said about a namespace, as of one moment.
struct NamespaceInfo {
  std::uint32_t nsid = 0;
  spec::Csi command_set = spec::Csi::nvm;
  std::uint32_t block_size = 0;  ///< bytes of data per block
  std::uint64_t num_blocks = 0;
  std::uint32_t metadata_size = 0;  ///< bytes per block
  bool metadata_interleaved = false;
  std::uint32_t protection_type = 0;  ///< 0: none
  bool protection_first = false;
  bool read_only = false;
  Uuid uuid{};                            ///< nil: it has none
  std::array<std::uint8_t, 16> nguid{};   ///< all zero: it has none
  std::array<std::uint8_t, 8> eui64{};    ///< all zero: it has none
  std::uint32_t optimal_io_boundary = 0;  ///< blocks; 0: none
  std::uint32_t atomic_write_blocks = 1;  ///< written whole or not at all
  std::uint32_t compare_and_write_blocks = 1;
  spec::IdentifyNamespace identify;
};

/// What is kept of a namespace while the controller knows it, shared by its Namespace handles.
class NamespaceState {
 public:
  explicit NamespaceState(std::uint32_t nsid) noexcept : nsid(nsid) {}
  std::shared_ptr<const NamespaceInfo> info() const;
  void set_info(std::shared_ptr<const NamespaceInfo> info);

  const std::uint32_t nsid;
  // Read by every operation, on every Thread.
  std::atomic<bool> active{false};
  std::atomic<std::uint64_t> num_blocks{0};
  std::atomic<std::uint32_t> transfer_bytes{0};  ///< data and interleaved metadata of a block
  std::atomic<std::uint32_t> metadata_bytes{0};  ///< separate metadata of a block
  std::atomic<std::uint32_t> max_blocks{1};      ///< of one command with data
  std::atomic<std::uint32_t> max_zeroes_blocks{65536};
  // Of one command that deallocates: blocks in a range, ranges, blocks in all of them.
  std::atomic<std::uint32_t> max_deallocate_blocks{UINT32_MAX};
  std::atomic<std::uint32_t> max_deallocate_ranges{256};
  std::atomic<std::uint64_t> max_deallocate_total{UINT64_MAX};
  std::atomic<std::uint16_t> oncs{0};
  std::atomic<bool> fused_compare_and_write{false};

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const NamespaceInfo> info_;
};

struct NsIoOptions {
  DmaSpan metadata{};       ///< separate metadata, `metadata_size` bytes per block; empty: none is transferred
  bool fua = false;         ///< write: durable when it completes
  std::uint32_t flags = 0;  ///< more bits of CDW12, see spec::nvm_flags
};
/// The default, as an object, so that it is not made anew for every I/O (`no_io_options` says why that matters).
inline constexpr NsIoOptions no_ns_io_options{};

/// A small copyable handle; keeps what is known of the namespace, not the connection. Operations go over a queue pair
/// of the same controller, on its Thread. Ranges and buffer lengths are checked before anything is submitted:
/// Misuse::out_of_range, buffer_size, wrong_thread, already_closed, not_supported. Buffers have exactly the length of
/// the range (data and, where it is interleaved, metadata). Any OS thread may ask for the facts.
class Namespace {
 public:
  /// For Controller.
  explicit Namespace(std::shared_ptr<NamespaceState> state) noexcept : state_(std::move(state)) {}

  std::uint32_t nsid() const noexcept { return state_->nsid; }
  /// False once the controller does not have it any more; operations then fail with Misuse::out_of_range.
  bool active() const noexcept { return state_->active.load(std::memory_order_relaxed); }
  /// As of the last Identify; it changes when the namespace does.
  std::shared_ptr<const NamespaceInfo> info() const { return state_->info(); }
  BlockCount num_blocks() const noexcept { return BlockCount{state_->num_blocks.load(std::memory_order_relaxed)}; }
  /// Bytes of a buffer per block: data, and metadata where it is interleaved.
  std::uint32_t block_bytes() const noexcept { return state_->transfer_bytes.load(std::memory_order_relaxed); }
  /// Bytes of a buffer for so many blocks.
  std::size_t bytes(BlockCount blocks) const noexcept { return static_cast<std::size_t>(blocks.value * block_bytes()); }
  /// The longest transfer that one command makes; longer ones are sent as several.
  BlockCount max_transfer() const noexcept { return BlockCount{state_->max_blocks.load(std::memory_order_relaxed)}; }
  /// The whole namespace in ranges of `blocks` (the last may be shorter), for `for_each_concurrent`.
  auto chunks(BlockCount blocks) const {
    const std::uint64_t total = num_blocks().value;
    const std::uint64_t step = blocks.value == 0 ? 1 : blocks.value;
    return std::views::iota(std::uint64_t{0}, total / step + (total % step != 0 ? 1 : 0)) |
           std::views::transform([total, step](std::uint64_t index) {
             const std::uint64_t first = index * step;
             return LbaRange{Lba{first}, BlockCount{total - first < step ? total - first : step}};
           });
  }

  Operation<> read(const Qpair& qpair, DmaSpan into, LbaRange from,
                   const NsIoOptions& options = no_ns_io_options) const {
    return transfer("read", spec::NvmOpcode::read, qpair, into, from, options);
  }
  /// The list must stay until the operation has ended, as well as the memory.
  Operation<> read(const Qpair& qpair, DmaSpans into, LbaRange from,
                   const NsIoOptions& options = no_ns_io_options) const {
    return transfer("read", spec::NvmOpcode::read, qpair, into, from, options);
  }
  Operation<> write(const Qpair& qpair, DmaSpan data, LbaRange to,
                    const NsIoOptions& options = no_ns_io_options) const {
    return transfer("write", spec::NvmOpcode::write, qpair, data, to, options);
  }
  Operation<> write(const Qpair& qpair, DmaSpans data, LbaRange to,
                    const NsIoOptions& options = no_ns_io_options) const {
    return transfer("write", spec::NvmOpcode::write, qpair, data, to, options);
  }
  /// Fails with Compare Failure when the namespace holds something else.
  Operation<> compare(const Qpair& qpair, DmaSpan expected, LbaRange at,
                      const NsIoOptions& options = no_ns_io_options) const {
    return transfer("compare", spec::NvmOpcode::compare, qpair, expected, at, options);
  }
  Operation<> compare(const Qpair& qpair, DmaSpans expected, LbaRange at,
                      const NsIoOptions& options = no_ns_io_options) const {
    return transfer("compare", spec::NvmOpcode::compare, qpair, expected, at, options);
  }
  /// `deallocate`: the blocks may be given back as well.
  Operation<> write_zeroes(const Qpair& qpair, LbaRange range, bool deallocate = false) const;
  /// Has the controller read the blocks and check them, without a transfer.
  Operation<> verify(const Qpair& qpair, LbaRange range) const;
  /// Gives the blocks back to the controller; what a later read finds there is not defined. At most 2^32-1 blocks.
  Operation<> deallocate(const Qpair& qpair, LbaRange range) const;
  /// Several ranges with one command, at most 256.
  Task<> deallocate(const Qpair& qpair, std::span<const LbaRange> ranges) const;
  /// Makes durable what was completed before.
  Operation<> flush(const Qpair& qpair) const;
  /// Within the namespace, by the controller; at most 256 ranges. Overlap of source and destination is not defined.
  Task<> copy(const Qpair& qpair, std::span<const LbaRange> from, Lba to) const;
  /// Writes `data` if the namespace holds `expected`, as one atomic step: a fused pair of commands. Compare Failure
  /// otherwise. Both lists cover exactly `at`, which must fit into one command.
  Task<> compare_and_write(const Qpair& qpair, DmaSpan expected, DmaSpan data, LbaRange at) const;

  // ---- reservations (Base Specification, "Reservations")
  Task<> reservation_register(const Qpair& qpair, ReservationRegister what) const;
  Task<> reservation_acquire(const Qpair& qpair, ReservationAcquire what) const;
  Task<> reservation_release(const Qpair& qpair, ReservationRelease what) const;
  Task<ReservationReport> reservation_report(const Qpair& qpair) const;

  const std::shared_ptr<NamespaceState>& state() const noexcept { return state_; }

 private:
  template <class Data>
  Operation<> transfer(const char* name, spec::NvmOpcode opcode, const Qpair& qpair, Data data, LbaRange range,
                       const NsIoOptions& options) const {
    Operation<> operation(qpair.queue(), name);
    operation.set_data(data, spec::data_transfer_of(spec::raw(opcode)));
    fill_transfer(operation, opcode, range, options);
    return operation;
  }
  void fill_transfer(Operation<>& operation, spec::NvmOpcode opcode, LbaRange range,
                     const NsIoOptions& options) const noexcept;
  Operation<> ranged(const char* name, spec::NvmOpcode opcode, const Qpair& qpair, LbaRange range,
                     std::uint32_t piece_blocks, std::uint16_t needs, std::uint32_t flags) const noexcept;
  std::shared_ptr<NamespaceState> state_;
};

}  // namespace spdkio::nvme
