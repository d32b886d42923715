// SpdkDevice: a bdev of SPDK's as a Device of ours.
#pragma once

#include <spdkio/bdev/device.hpp>

#include <spdk/bdev.h>

#include <functional>
#include <memory>
#include <string>

#include "engine_spdk/control.hpp"

namespace spdkio::spdk {

/// Who hears what SPDK says of a bdev; called as the app thread.
class BdevEvents {
 public:
  virtual void bdev_removed(const std::string& name) = 0;
  virtual void bdev_resized(const std::string& name, BlockCount num_blocks) = 0;
  virtual void bdev_media(const std::string& name, LbaRange range) = 0;

 protected:
  ~BdevEvents() = default;
};

/// Holds a descriptor for reading, which keeps the bdev while it is registered with us and claims nothing. Channels
/// open one for writing when they first write, so that SPDK's modules may claim what nobody of ours writes to.
class SpdkDevice final : public bdev::Device {
 public:
  /// As the app thread. Throws Error when it can't be opened.
  static std::unique_ptr<SpdkDevice> open(spdk_bdev& bdev, Control& control, BdevEvents& events);
  ~SpdkDevice() override;

  bool supports(bdev::IoType type) const noexcept override;
  std::unique_ptr<bdev::Channel> make_channel() override;
  /// Closes the descriptor.
  Task<> shut_down() override;

  spdk_bdev_desc* descriptor() const noexcept { return descriptor_; }
  spdk_bdev* bdev() const noexcept { return bdev_; }
  Control& control() const noexcept { return control_; }

 private:
  SpdkDevice(spdk_bdev& bdev, Control& control, BdevEvents& events);
  static void on_event(spdk_bdev_event_type type, spdk_bdev* bdev, void* context) noexcept;

  spdk_bdev* bdev_;
  Control& control_;
  BdevEvents& events_;
  spdk_bdev_desc* descriptor_ = nullptr;
};

}  // namespace spdkio::spdk
