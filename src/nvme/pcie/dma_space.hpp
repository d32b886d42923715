// DmaSpace: how the PCI devices of this process reach its memory.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/engine/memory.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

#include "nvme/pcie/pci_address.hpp"

namespace spdkio::nvme::pcie {

enum class DmaSpaceKind : std::uint8_t {
  iommufd,  ///< an I/O address space of the kernel's, devices by their own files (Linux 6.6)
  type1,    ///< a VFIO container with an IOMMU, devices by their groups
  no_iommu  ///< physical addresses, and nothing that keeps a device from the rest of memory
};
std::string_view to_string(DmaSpaceKind kind) noexcept;

/// A VFIO device that was opened, with what must stay open as long as it does.
struct DeviceFile {
  std::shared_ptr<void> keep;
  UniqueFd fd;
};

/// One for all open devices of the process, so that memory is mapped once; it ends with the last of them.
class DmaSpace {
 public:
  DmaSpace() = default;
  DmaSpace(const DmaSpace&) = delete;
  DmaSpace& operator=(const DmaSpace&) = delete;
  virtual ~DmaSpace() = default;

  virtual DmaSpaceKind kind() const noexcept = 0;
  /// The device's file, with the memory of the engine mapped for it. Blocks.
  virtual Result<DeviceFile> open(const PciBus& bus, const PciAddress& address) = 0;
};

/// Opens the device in the space that the process has, or in a new one. What the machine has decides which kind that
/// is. Errors say what is missing, with a hint what to do about it. Any OS thread; blocks.
Result<DeviceFile> open_in_shared_space(const PciBus& bus, const PciAddress& address, engine::MemoryService& memory);

// The kinds. `memory` must have no other mapper.
std::shared_ptr<DmaSpace> make_iommufd_space(engine::MemoryService& memory);
std::shared_ptr<DmaSpace> make_container_space(DmaSpaceKind kind, engine::MemoryService& memory);

}  // namespace spdkio::nvme::pcie
