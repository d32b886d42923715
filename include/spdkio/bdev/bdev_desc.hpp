// BdevDesc: an open block device.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/bdev/io_channel.hpp>
#include <spdkio/bdev/io_operation.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio {

class Bdev;

struct OpenOptions {
  /// How long to wait for a device that does not exist yet; zero: fail at once.
  std::chrono::nanoseconds wait{};
};

/// A descriptor: the right to use a device. Opened and closed on one Thread; its operations may be used on every
/// Thread, each with an IoChannel of that Thread. Move-only. `close` it; a destructor that finds it open closes it and
/// says so in the log.
///
/// Every operation says in bytes or in blocks what it covers. Bytes must be whole blocks. Buffers must have exactly the
/// length of the range (data and, on devices with interleaved metadata, metadata), and the alignment of
/// `buffer_alignment()`. All of that is checked before anything is submitted: Misuse::out_of_range (also for an empty
/// range), misaligned, buffer_size, not_supported, read_only, wrong_thread, already_closed.
class BdevDesc {
 public:
  /// Opens by name or alias. Errors: ENODEV when there is none, EPERM when a claim forbids writing, Misuse::read_only
  /// for a device that can't be written, timed_out after `options.wait`.
  static Task<BdevDesc> open(std::string_view name, Access access = Access::read_only, OpenOptions options = {});

  BdevDesc(BdevDesc&&) noexcept = default;
  BdevDesc& operator=(BdevDesc&& other) noexcept;
  ~BdevDesc();
  /// On the Thread that opened it. Channels that are still open keep the device but can't be used through this
  /// descriptor any more. Throws Misuse::already_closed the second time.
  Task<> close();

  const std::string& name() const;
  Bdev bdev() const;
  Access access() const;
  std::uint32_t block_size() const;  ///< bytes
  BlockCount num_blocks() const;
  ByteCount size() const;  ///< of the whole device
  std::size_t buffer_alignment() const;
  /// Whether the device can do it at all.
  bool supports(bdev::IoType type) const;
  /// For the current Thread. Throws Misuse::already_closed, or ENODEV after a removal.
  IoChannel io_channel() const;

  // ---- data
  IoOperation<> read(const IoChannel& channel, DmaSpan into, ByteOffset from,
                     const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::read, channel, into, from, options);
  }
  IoOperation<> read(const IoChannel& channel, DmaSpan into, LbaRange from,
                     const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::read, channel, into, from, options);
  }
  /// The list must stay until the operation has ended, as well as the memory.
  IoOperation<> read(const IoChannel& channel, DmaSpans into, ByteOffset from,
                     const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::read, channel, into, from, options);
  }
  IoOperation<> read(const IoChannel& channel, DmaSpans into, LbaRange from,
                     const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::read, channel, into, from, options);
  }
  IoOperation<> write(const IoChannel& channel, DmaSpan data, ByteOffset to,
                      const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::write, channel, data, to, options);
  }
  IoOperation<> write(const IoChannel& channel, DmaSpan data, LbaRange to,
                      const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::write, channel, data, to, options);
  }
  IoOperation<> write(const IoChannel& channel, DmaSpans data, ByteOffset to,
                      const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::write, channel, data, to, options);
  }
  IoOperation<> write(const IoChannel& channel, DmaSpans data, LbaRange to,
                      const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::write, channel, data, to, options);
  }
  /// Fails with NVMe Compare Failure when the device holds something else.
  IoOperation<> compare(const IoChannel& channel, DmaSpans expected, LbaRange at,
                        const IoOptions& options = no_io_options) const {
    return transfer(bdev::IoType::compare, channel, expected, at, options);
  }
  /// Writes `data` if the device holds `expected`, as one atomic step; Compare Failure otherwise.
  IoOperation<> compare_and_write(const IoChannel& channel, DmaSpans expected, DmaSpans data, LbaRange at) const;
  IoOperation<> write_zeroes(const IoChannel& channel, LbaRange range) const;
  IoOperation<> write_zeroes(const IoChannel& channel, ByteRange range) const;
  /// Gives blocks back to the device; what a later read finds there is not defined.
  IoOperation<> unmap(const IoChannel& channel, LbaRange range) const;
  IoOperation<> unmap(const IoChannel& channel, ByteRange range) const;
  /// Makes durable what was completed before.
  IoOperation<> flush(const IoChannel& channel) const;
  IoOperation<> copy(const IoChannel& channel, LbaRange from, Lba to) const;
  /// Resets the device; requests in flight end, with an error if they could not be executed.
  IoOperation<> reset(const IoChannel& channel) const;
  /// The next block that holds data, or the next hole, at or after `from`; empty when there is none.
  IoOperation<std::optional<Lba>> seek_data(const IoChannel& channel, Lba from) const;
  IoOperation<std::optional<Lba>> seek_hole(const IoChannel& channel, Lba from) const;

  // ---- zones, as the NVMe Zoned Namespace Command Set has them; `bdev().geometry()` has their size and number
  /// Fills `zones` from the zone that holds `from`; gives how many.
  IoOperation<std::uint32_t> zone_report(const IoChannel& channel, Lba from, std::span<bdev::ZoneInfo> zones) const;
  /// `zone` is its first block.
  IoOperation<> zone_management(const IoChannel& channel, Lba zone, bdev::ZoneAction action) const;
  /// Writes at the write pointer of `zone`, which is its first block; gives where that was. Any number may be in
  /// flight.
  IoOperation<Lba> zone_append(const IoChannel& channel, DmaSpan data, Lba zone,
                               const IoOptions& options = no_io_options) const;
  IoOperation<Lba> zone_append(const IoChannel& channel, DmaSpans data, Lba zone,
                               const IoOptions& options = no_io_options) const;

  // ---- NVMe passthru: the command as it is; gives CDW0 of the completion
  IoOperation<std::uint32_t> nvme_admin(const IoChannel& channel, const bdev::NvmeCommand& command, DmaSpan data) const;
  IoOperation<std::uint32_t> nvme_io(const IoChannel& channel, const bdev::NvmeCommand& command, DmaSpan data) const;

  // ---- events and claims, on the Thread that opened it
  /// The next event, in order; waits for it. Empty after `close`. One waiter at a time.
  Task<std::optional<bdev::BdevEvent>> next_event() const;
  /// Keeps others from writing while this descriptor is open, or until `release_claim`. For modules on top of a device;
  /// `module` is who claims. EPERM names who is in the way.
  void claim(bdev::Claim type, std::string module, std::uint64_t shared_key = 0) const;
  void release_claim() const;

  const std::shared_ptr<bdev::DescState>& state() const noexcept { return state_; }

 private:
  explicit BdevDesc(std::shared_ptr<bdev::DescState> state) noexcept : state_(std::move(state)) {}
  static Task<BdevDesc> open_named(std::string name, Access access, OpenOptions options);
  /// One request: `buffers` is a DmaSpan or DmaSpans, `where` a ByteOffset or LbaRange.
  template <class Buffers, class Where>
  IoOperation<> transfer(bdev::IoType type, const IoChannel& channel, Buffers buffers, Where where,
                         const IoOptions& options) const {
    IoOperation<> operation(*state_, channel.slot(), type);
    operation.set_buffers(buffers);
    operation.set_where(where);
    operation.set_options(options);
    return operation;
  }
  template <class Buffers>
  IoOperation<Lba> append(const IoChannel& channel, Buffers data, Lba zone, const IoOptions& options) const;
  template <class T = void>
  IoOperation<T> ranged(bdev::IoType type, const IoChannel& channel, LbaRange range) const {
    IoOperation<T> operation(*state_, channel.slot(), type);
    operation.set_where(range);
    return operation;
  }
  IoOperation<std::uint32_t> passthru(bdev::IoType type, const IoChannel& channel, const bdev::NvmeCommand& command,
                                      DmaSpan data) const;
  bdev::DescState& open_state() const;
  std::shared_ptr<bdev::DescState> state_;
};

}  // namespace spdkio
