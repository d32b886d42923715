// CoroutineDevice: a block device whose requests are served by coroutines. The short way to write a module.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev/io.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

namespace spdkio::bdev {

/// What a CoroutineDevice keeps for each Thread that uses it: derive from it. Made, used and destroyed on that Thread;
/// it is the place for the IoChannels of devices below.
class DeviceThreadState {
 public:
  DeviceThreadState() = default;
  DeviceThreadState(const DeviceThreadState&) = delete;
  DeviceThreadState& operator=(const DeviceThreadState&) = delete;
  /// No request of this Thread runs any more.
  virtual ~DeviceThreadState() = default;
};

/// One request while it is served; stays until `serve` has ended. The block layer has checked it: the operation is one
/// that the device has, the range lies on it, and the buffers have its length and alignment.
class IoRequest {
 public:
  IoRequest(Io& io, DeviceThreadState* thread_state) noexcept : io_(io), thread_state_(thread_state) {}
  IoRequest(const IoRequest&) = delete;
  IoRequest& operator=(const IoRequest&) = delete;

  IoType type() const noexcept { return io_.type; }
  /// Read, write and everything else that names blocks; for copy the destination.
  LbaRange range() const noexcept { return io_.range(); }
  /// Read: where to put the data. Write: the data. Compare, compare_and_write: what is expected. The submitter's
  /// memory: only a read may change it.
  DmaSpans buffers() const noexcept { return io_.spans(); }
  /// compare_and_write: what to write.
  DmaSpans write_buffers() const noexcept {
    return io_.type == IoType::compare_and_write ? DmaSpans{io_.write_iov, io_.write_iov_count} : DmaSpans{};
  }
  /// Separate metadata; empty when the submitter has none to transfer.
  DmaSpan metadata() const noexcept { return io_.metadata; }
  /// Write: durable when it ends.
  bool fua() const noexcept { return io_.fua; }
  /// zone_report: where to put the zones, from the one that holds `range().first`; `set_result` says how many.
  std::span<ZoneInfo> zones() const noexcept {
    return io_.type == IoType::zone_report ? std::span(io_.zones, io_.zone_count) : std::span<ZoneInfo>{};
  }
  /// zone_management of the zone at `range().first`.
  ZoneAction zone_action() const noexcept { return io_.zone_action; }
  /// Copy: where the data comes from.
  LbaRange copy_source() const noexcept { return {Lba{io_.source_lba}, io_.range().count}; }
  /// What the operation gives: the block of a zone_append or seek (UINT64_MAX: none), the entries that a zone_report
  /// filled, CDW0 of a passthru command.
  void set_result(std::uint64_t result) noexcept { io_.result = result; }

  /// What `make_thread_state` made for this Thread. T must be what it made.
  template <class T>
  T& thread_state() const noexcept {
    return static_cast<T&>(*thread_state_);
  }
  /// The request as modules without coroutines see it. It is completed by the device, never by `serve`.
  Io& io() const noexcept { return io_; }

 private:
  Io& io_;
  DeviceThreadState* thread_state_;
};

/// Derive from it, write `serve`, and hand it to `Service::register_device`:
///
///     class Mirror final : public bdev::CoroutineDevice {
///       Task<> serve(bdev::IoRequest& io) override { ... }
///     };
///
/// Each request runs in a coroutine of its own on the Thread that submitted it; as many run at once as are in flight.
/// The frames come from the frame cache: a device that allocates nothing itself serves without the heap in the steady
/// state.
class CoroutineDevice : public Device {
 public:
  /// `operations` is what the device can do: what `supports` says, and what `serve` gets.
  CoroutineDevice(std::string name, std::string product_name, Geometry geometry,
                  std::initializer_list<IoType> operations);

  /// Does what the request asks for. Returning normally ends it with success, an exception with an error:
  /// - an Error of a device or the system: its errno or NVMe status;
  /// - Misuse::not_supported: the same; any other Misuse is a mistake of the module's own: EIO, and a line in the log;
  /// - another exception: EIO, and its text in the log.
  ///
  /// When the submitter gives up, or the device is removed, the coroutine is asked to stop: what it awaits ends with
  /// operation_canceled. Ending through that gives operation_canceled (ENODEV at a removal), with Outcome::aborted for
  /// what only reads and Outcome::may_have_executed for the rest; ending well is a success as ever.
  virtual Task<> serve(IoRequest& io) = 0;

  /// Called once on every Thread that opens a channel; may throw Error, which then is the channel's. Default: none.
  virtual std::unique_ptr<DeviceThreadState> make_thread_state() { return nullptr; }

  bool supports(IoType type) const noexcept final { return (operations_ >> static_cast<std::uint32_t>(type) & 1) != 0; }
  std::unique_ptr<Channel> make_channel() final;

 private:
  std::uint32_t operations_ = 0;
};

}  // namespace spdkio::bdev
