#include "nvme/pcie/dma_space.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <string>

namespace spdkio::nvme::pcie {
namespace {

/// The space of this process while a device is open. VFIO and the memory service know processes, not objects.
struct Shared {
  std::mutex mutex;
  std::weak_ptr<DmaSpace> space;
  const engine::MemoryService* memory = nullptr;
};

Shared& shared() {
  static Shared instance;
  return instance;
}

/// vfio-pci refuses what no IOMMU guards until an administrator allows it.
constexpr std::string_view allow_no_iommu =
    "echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode (the device then reaches all memory)";

Error not_bound(const PciAddress& address, const std::string& driver, bool guarded) {
  const std::string name = address.to_string();
  const std::string what =
      driver.empty() ? "no kernel driver has it" : fmt::format("the kernel driver '{}' has it", driver);
  return Error(std::errc::device_or_resource_busy,
               fmt::format("PCI function {} is not free for this process: {}", name, what))
      .with_hint(fmt::format(
          "as root: modprobe vfio-pci; {2}echo vfio-pci > /sys/bus/pci/devices/{0}/driver_override; "
          "{1}echo {0} > /sys/bus/pci/drivers_probe",
          name,
          driver.empty() ? std::string() : fmt::format("echo {0} > /sys/bus/pci/devices/{0}/driver/unbind; ", name),
          guarded ? std::string() : fmt::format("no IOMMU guards it, so {}; ", allow_no_iommu)));
}

Result<DmaSpaceKind> kind_for(const PciBus& bus, const PciAddress& address) {
  if (!bus.exists(address)) {
    return std::unexpected(
        Error(std::errc::no_such_device, fmt::format("there is no PCI function {}", address.to_string()))
            .with_hint("lspci -D shows what there is"));
  }
  const std::string driver = bus.driver(address);
  const auto group = bus.iommu_group(address);
  if (driver.find("vfio") == std::string::npos) {
    return std::unexpected(not_bound(address, driver, group.has_value()));
  }
  if (group && group->no_iommu) return DmaSpaceKind::no_iommu;
  if (!bus.vfio_device(address).empty() && ::access("/dev/iommu", R_OK | W_OK) == 0) return DmaSpaceKind::iommufd;
  if (group) return DmaSpaceKind::type1;
  return std::unexpected(
      Error(std::errc::no_such_device, fmt::format("PCI function {} has no IOMMU group", address.to_string()))
          .with_hint("switch the IOMMU on (intel_iommu=on or amd_iommu=on on the kernel's command line)"));
}

}  // namespace

std::string_view to_string(DmaSpaceKind kind) noexcept {
  switch (kind) {
    case DmaSpaceKind::iommufd: return "iommufd";
    case DmaSpaceKind::type1: return "VFIO type 1";
    case DmaSpaceKind::no_iommu: return "VFIO without an IOMMU";
  }
  return "unknown";
}

Result<DeviceFile> open_in_shared_space(const PciBus& bus, const PciAddress& address, engine::MemoryService& memory) {
  const auto kind = kind_for(bus, address);
  if (!kind) return std::unexpected(kind.error());
  Shared& process = shared();
  // Also keeps two from setting the mapper at once.
  const std::lock_guard lock(process.mutex);
  auto space = process.space.lock();
  if (space != nullptr && (space->kind() != *kind || process.memory != &memory)) {
    return std::unexpected(Error(std::errc::device_or_resource_busy,
                                 fmt::format("devices of this process are open by {}, and this one needs {}",
                                             to_string(space->kind()), to_string(*kind)))
                               .with_hint("use them in different processes"));
  }
  if (space == nullptr) {
    space = *kind == DmaSpaceKind::iommufd ? make_iommufd_space(memory) : make_container_space(*kind, memory);
    process.memory = &memory;
  }
  auto file = space->open(bus, address);
  if (!file) return std::unexpected(file.error());
  process.space = space;
  return file;
}

}  // namespace spdkio::nvme::pcie
