#include "bdev/device_lookup.hpp"

#include <spdkio/bdev/service.hpp>

#include <algorithm>
#include <cctype>

namespace spdkio::bdev {

std::shared_ptr<DeviceState> find_device(const std::string& name_or_uuid) {
  const Service& service = Service::current();
  if (auto named = service.find(name_or_uuid)) return named;
  std::string lower = name_or_uuid;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (auto& device : service.list()) {
    if (device->uuid().to_string() == lower) return std::move(device);
  }
  return nullptr;
}

std::vector<std::shared_ptr<const DeviceState>> device_and_bases(const DeviceState& device) {
  std::vector<std::shared_ptr<const DeviceState>> found{device.shared_from_this()};
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const std::string& name : found[i]->bases()) {
      std::shared_ptr<const DeviceState> base = find_device(name);
      if (base != nullptr && std::ranges::find(found, base) == found.end()) found.push_back(std::move(base));
    }
  }
  return found;
}

}  // namespace spdkio::bdev
