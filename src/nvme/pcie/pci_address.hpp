// PciAddress: where a function is on the PCI bus, and what sysfs says about it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::nvme::pcie {

struct PciAddress {
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;
  std::uint8_t function = 0;

  /// `0000:01:00.0` or `01:00.0`.
  static std::optional<PciAddress> parse(std::string_view text) noexcept;
  /// The long form, as sysfs writes it.
  std::string to_string() const;
  constexpr auto operator<=>(const PciAddress&) const noexcept = default;
};

/// What is known about functions of the bus: files below /sys/bus/pci, or a copy for tests.
class PciBus {
 public:
  explicit PciBus(std::string root = "/sys") : root_(std::move(root)) {}

  bool exists(const PciAddress& address) const;
  /// Name of the kernel driver that has it; empty: none.
  std::string driver(const PciAddress& address) const;
  /// Number of its IOMMU group, and whether that stands for the lack of an IOMMU; none without a group.
  struct Group {
    int number = 0;
    bool no_iommu = false;
  };
  std::optional<Group> iommu_group(const PciAddress& address) const;
  /// Name of its character device below /dev/vfio/devices, which drivers of the VFIO family give it in newer kernels;
  /// empty: none.
  std::string vfio_device(const PciAddress& address) const;
  /// All NVMe controllers, in order.
  std::vector<PciAddress> nvme_functions() const;

 private:
  std::string path(const PciAddress& address, std::string_view file) const;
  std::string root_;
};

}  // namespace spdkio::nvme::pcie
