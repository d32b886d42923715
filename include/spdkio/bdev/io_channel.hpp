// IoChannel: a Thread's way to a device.
#pragma once

#include <spdkio/bdev/channel_slot.hpp>
#include <spdkio/bdev/stats.hpp>

#include <utility>

namespace spdkio {

/// Obtained from a descriptor on the Thread that will use it; all channels of one Thread to one device share the
/// module's channel. Move-only. It must outlive the operations that use it; destroying it on another OS thread sends it
/// home. The Thread can't end while it is open.
class IoChannel {
 public:
  IoChannel() noexcept = default;
  explicit IoChannel(bdev::ChannelSlot& slot) noexcept : slot_(&slot) {}
  IoChannel(IoChannel&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  IoChannel& operator=(IoChannel&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~IoChannel() { close(); }

  void close() noexcept {
    if (slot_ != nullptr) std::exchange(slot_, nullptr)->drop_reference();
  }
  explicit operator bool() const noexcept { return slot_ != nullptr; }
  /// What this Thread did on the device so far. On that Thread.
  const bdev::Stats& stats() const noexcept { return slot_->stats(); }
  std::uint64_t in_flight() const noexcept { return slot_->in_flight(); }
  bdev::ChannelSlot* slot() const noexcept { return slot_; }

 private:
  bdev::ChannelSlot* slot_ = nullptr;
};

}  // namespace spdkio
