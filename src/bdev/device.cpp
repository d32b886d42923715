#include <spdkio/bdev/device.hpp>

#include <nlohmann/json.hpp>

#include <utility>

namespace spdkio::bdev {

Device::Device(std::string name, std::string product_name, Geometry geometry)
    : name_(std::move(name)), product_name_(std::move(product_name)), geometry_(geometry) {}

Task<> Device::shut_down() { co_return; }

std::vector<std::string> Device::bases() const { return {}; }
nlohmann::ordered_json Device::driver_specific() const { return nlohmann::ordered_json::object(); }

nlohmann::ordered_json Device::config() const { return nullptr; }

}  // namespace spdkio::bdev
