// The seam for block devices: who knows which there are. One per engine.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev/device_state.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::bdev {

/// Told about new devices: how modules that build on others (passthru, split) find a base that appears later.
class Examiner {
 public:
  /// A device was registered. On the Thread that registered it; awaited before `register_device` returns.
  virtual Task<> examine(std::shared_ptr<DeviceState> device) = 0;

  virtual ~Examiner() = default;
};

class Service {
 public:
  /// The running engine's; throws Misuse::not_started without one.
  static Service& current();

  /// By name or alias; null when there is none. Any OS thread.
  virtual std::shared_ptr<DeviceState> find(std::string_view name) const = 0;
  /// In the order of registration. Any OS thread.
  virtual std::vector<std::shared_ptr<DeviceState>> list() const = 0;
  /// Awaits a device of that name for at most `limit`; throws timed_out.
  virtual Task<std::shared_ptr<DeviceState>> wait_for(std::string name, std::chrono::nanoseconds limit) = 0;

  /// Makes a device known under its name, and gives a UUID to one that has none. Throws EEXIST when a name or alias is
  /// taken, Misuse::invalid_argument for an impossible geometry, naming the field.
  virtual Task<std::shared_ptr<DeviceState>> register_device(std::unique_ptr<Device> device) = 0;
  /// Removes a device: descriptors hear of it, new requests fail with ENODEV, those in flight end, and the Device is
  /// destroyed. Descriptors may stay open. Throws ENODEV when there is no such device.
  virtual Task<> unregister_device(std::string name) = 0;
  /// The device has another size now. Throws EBUSY when it would shrink while it is open.
  virtual void notify_resize(const std::string& name, BlockCount num_blocks) = 0;
  /// The device has these aliases from now on, in place of those it had; its descriptors do not notice. Any OS thread.
  /// Throws EEXIST when another device has one of them as its name or alias, and changes nothing then.
  virtual void set_aliases(const std::string& name, std::vector<std::string> aliases) = 0;

  /// From now on every new device is shown to `examiner`, which is kept until it is removed or the engine stops.
  virtual void add_examiner(std::shared_ptr<Examiner> examiner) = 0;
  virtual void remove_examiner(const Examiner& examiner) noexcept = 0;

 protected:
  ~Service() = default;
};

}  // namespace spdkio::bdev
