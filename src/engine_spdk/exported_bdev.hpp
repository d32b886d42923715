// ExportedBdev: a Device of ours as a bdev of SPDK's.
#pragma once

#include <spdkio/bdev/device_state.hpp>
#include <spdkio/runtime/task.hpp>

#include <spdk/bdev_module.h>

#include <memory>
#include <string>

#include "engine_spdk/control.hpp"

namespace spdkio::spdk {

/// What bdevs of ours name as their module, and what tells us of all others.
spdk_bdev_module& bdev_module() noexcept;

/// For SPDK's modules and targets: programs of ours reach the Device without it. Freed by SPDK's unregistration.
class ExportedBdev {
 public:
  /// Registers it with SPDK. On any Thread. Throws EEXIST when SPDK has one of that name, or another Error.
  static Task<ExportedBdev*> create(std::shared_ptr<bdev::DeviceState> state, Control& control);
  ExportedBdev(const ExportedBdev&) = delete;
  ExportedBdev& operator=(const ExportedBdev&) = delete;

  /// Of a bdev whose module is ours.
  static ExportedBdev& of(const spdk_bdev& bdev) noexcept { return *static_cast<ExportedBdev*>(bdev.ctxt); }
  spdk_bdev& bdev() noexcept { return bdev_; }
  bdev::DeviceState& state() noexcept { return *state_; }

 private:
  explicit ExportedBdev(std::shared_ptr<bdev::DeviceState> state);
  static const spdk_bdev_fn_table& functions() noexcept;

  std::shared_ptr<bdev::DeviceState> state_;
  std::string name_;
  std::string product_name_;
  spdk_bdev bdev_{};
};

/// What SPDK reserves for each request to one of ours.
std::size_t exported_request_size() noexcept;

}  // namespace spdkio::spdk
