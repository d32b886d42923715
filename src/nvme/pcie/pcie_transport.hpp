// PcieTransport: the way to a controller on the PCI bus of this machine.
#pragma once

#include <spdkio/engine/memory.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/task.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "nvme/pcie/device.hpp"
#include "nvme/pcie/function.hpp"
#include "nvme/pcie/pci_address.hpp"
#include "nvme/pcie/pcie_queue.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme::pcie {

struct PcieTransportOptions {
  std::string name;  ///< for logs and errors
  PciAddress address;
  /// Completions raise interrupts, which wake a Thread that sleeps. Off: a sleeping Thread looks about once a
  /// millisecond, and busy ones are not disturbed by interrupts.
  bool interrupts = true;
  /// How often to look whether the controller is still there and well, and whether the system wants it back; 0: never.
  std::chrono::nanoseconds health_period = std::chrono::seconds{1};
};

class PcieTransport final : public HostTransport {
 public:
  /// `source` opens the device; `memory` and `admin` outlive this.
  PcieTransport(PcieTransportOptions options, std::unique_ptr<FunctionSource> source, engine::MemoryService& memory,
                AdminCommands& admin);
  ~PcieTransport() override;

  Task<std::unique_ptr<TransportQueue>> open_admin(const QueueParameters& parameters, QueueEvents& events) override;
  Task<std::unique_ptr<TransportQueue>> open_io(const QueueParameters& parameters, QueueEvents& events) override;
  Task<std::uint64_t> get_property(spec::Property property, unsigned bytes) override;
  Task<> set_property(spec::Property property, unsigned bytes, std::uint64_t value) override;
  Task<> close() override;
  const TransportLimits& limits() const noexcept override { return limits_; }

 private:
  enum class Preparation : std::uint8_t { due, running, done };

  Task<std::unique_ptr<PcieQueue>> open_device(const QueueParameters& parameters, QueueEvents& events);
  Task<> disable();
  Task<> wait_ready(bool ready);
  Task<> prepare_io(std::chrono::nanoseconds timeout);
  Task<> identify();
  Task<> offer_shadow_doorbells();
  void watch();
  Device& device() const;

  const PcieTransportOptions options_;
  const std::unique_ptr<FunctionSource> source_;
  engine::MemoryService& memory_;
  AdminCommands& admin_;
  TransportLimits limits_;
  std::shared_ptr<Device> device_;
  std::atomic<Preparation> preparation_{Preparation::due};
  bool offers_shadow_doorbells_ = false;
  std::optional<Poller> health_;
};

/// Over VFIO, with the memory of the running engine, which must outlive it; with interrupts unless its reactors never
/// sleep. Throws Misuse::invalid_argument for an address that is none.
std::unique_ptr<HostTransport> make_pcie_transport(std::string name, std::string_view traddr, AdminCommands& admin);

}  // namespace spdkio::nvme::pcie
