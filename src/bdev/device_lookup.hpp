// Finding devices by what others say of them.
#pragma once

#include <spdkio/bdev/device_state.hpp>

#include <memory>
#include <string>
#include <vector>

namespace spdkio::bdev {

/// By name or alias, or else by UUID in either case; null when there is none.
std::shared_ptr<DeviceState> find_device(const std::string& name_or_uuid);

/// `device`, the devices that its data is on, those that theirs is on, and so on; each once, even in a circle. Bases
/// that are not there are left out, and so are those of a device that does not name its own (`Device::bases`).
std::vector<std::shared_ptr<const DeviceState>> device_and_bases(const DeviceState& device);

}  // namespace spdkio::bdev
