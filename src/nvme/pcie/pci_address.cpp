#include "nvme/pcie/pci_address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace spdkio::nvme::pcie {
namespace {

namespace fs = std::filesystem;

// Class 01h, mass storage; subclass 08h, non-volatile memory; interface 02h, NVMe.
constexpr std::string_view nvme_class = "0x010802";

/// Takes hexadecimal digits up to `end` (or the end of the text when it is 0) off the front.
std::optional<std::uint32_t> take_number(std::string_view& text, char end, std::size_t min_digits,
                                         std::size_t max_digits) noexcept {
  const std::size_t length = end == 0 ? text.size() : text.find(end);
  if (length == std::string_view::npos || length < min_digits || length > max_digits) return std::nullopt;
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + length, value, 16);
  if (error != std::errc() || stop != text.data() + length) return std::nullopt;
  text.remove_prefix(end == 0 ? length : length + 1);
  return value;
}

std::string first_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::string link_name(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  return error ? std::string() : target.filename().string();
}

}  // namespace

std::optional<PciAddress> PciAddress::parse(std::string_view text) noexcept {
  PciAddress address;
  if (std::ranges::count(text, ':') == 2) {
    const auto domain = take_number(text, ':', 4, 8);
    if (!domain) return std::nullopt;
    address.domain = *domain;
  }
  const auto bus = take_number(text, ':', 1, 2);
  if (!bus) return std::nullopt;
  const auto device = take_number(text, '.', 1, 2);
  if (!device || *device > 31) return std::nullopt;
  const auto function = take_number(text, 0, 1, 1);
  if (!function || *function > 7) return std::nullopt;
  address.bus = static_cast<std::uint8_t>(*bus);
  address.device = static_cast<std::uint8_t>(*device);
  address.function = static_cast<std::uint8_t>(*function);
  return address;
}

std::string PciAddress::to_string() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain, bus, device, function);
}

std::string PciBus::path(const PciAddress& address, std::string_view file) const {
  return fmt::format("{}/bus/pci/devices/{}/{}", root_, address.to_string(), file);
}

bool PciBus::exists(const PciAddress& address) const {
  std::error_code error;
  return fs::exists(path(address, "class"), error);
}

std::string PciBus::driver(const PciAddress& address) const { return link_name(path(address, "driver")); }

std::optional<PciBus::Group> PciBus::iommu_group(const PciAddress& address) const {
  const std::string name = link_name(path(address, "iommu_group"));
  Group group;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), group.number);
  if (name.empty() || error != std::errc() || stop != name.data() + name.size()) return std::nullopt;
  group.no_iommu = first_word(fmt::format("{}/kernel/iommu_groups/{}/name", root_, group.number)) == "vfio-noiommu";
  return group;
}

std::string PciBus::vfio_device(const PciAddress& address) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path(address, "vfio-dev"), error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("vfio")) return name;
  }
  return {};
}

std::vector<PciAddress> PciBus::nvme_functions() const {
  std::vector<PciAddress> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_ + "/bus/pci/devices", error)) {
    const auto address = PciAddress::parse(entry.path().filename().string());
    if (address && first_word(path(*address, "class")) == nvme_class) found.push_back(*address);
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace spdkio::nvme::pcie
