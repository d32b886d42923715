// Function: an NVMe controller on the PCI bus, opened for this process. What the driver needs of VFIO, and no more, so
// that a controller made of memory can stand in for one.
#pragma once

#include <spdkio/base/error.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "nvme/pcie/pci_address.hpp"

namespace spdkio::nvme::pcie {

/// Any OS thread may call; destroying it gives the device back and may take a while. Once it is gone the device can't
/// reach memory any more.
class Function {
 public:
  Function() = default;
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;
  virtual ~Function() = default;

  /// The controller's registers and doorbells, mapped (BAR 0). Constant.
  virtual std::span<std::byte> registers() const noexcept = 0;

  /// Whether the device may read and write memory. Off: when it returns, no write of the device's is under way either.
  virtual Result<> set_bus_master(bool on) noexcept = 0;

  /// How many interrupt vectors there are; 0: none.
  virtual unsigned vector_count() const noexcept = 0;
  /// Connects vector i to the eventfd `events[i]`, which is signalled from then on. Once.
  virtual Result<> connect_vectors(std::span<const int> events) = 0;

  /// Readable when the system wants the device back or has lost it; -1: it can't say.
  virtual int removal_fd() const noexcept = 0;
};

/// Opens functions.
class FunctionSource {
 public:
  virtual ~FunctionSource() = default;
  /// Blocks: for helper threads.
  virtual Result<std::unique_ptr<Function>> open(const PciAddress& address) = 0;
};

}  // namespace spdkio::nvme::pcie
