// Whether this process may touch PCI devices: what EnvOptions::no_pci forbids.
#pragma once

namespace spdkio::engine {

/// For as long as an engine runs that was started so. Any OS thread.
class PciAccess {
 public:
  explicit PciAccess(bool allowed) noexcept;
  PciAccess(const PciAccess&) = delete;
  ~PciAccess();

  /// True unless an engine forbids it.
  static bool allowed() noexcept;
};

}  // namespace spdkio::engine
