#include "nvme/transport_factory.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/engine/engine.hpp>

#include "nvme/driver.hpp"
#include "nvme/pcie/pcie_transport.hpp"
#include "nvme/tcp/tcp_transport.hpp"

namespace spdkio::nvme {

std::unique_ptr<HostTransport> make_transport(const ControllerSettings& settings, AdminCommands& admin) {
  // Without an engine there is still TCP.
  engine::Engine* const engine = engine::Engine::current_or_null();
  if (Driver* const driver = engine != nullptr ? engine->nvme_driver() : nullptr) {
    return driver->make_transport(settings);
  }
  switch (settings.id.trtype) {
    case TransportType::tcp: return tcp::make_tcp_transport(settings);
    case TransportType::pcie: return pcie::make_pcie_transport(settings.name, settings.id.traddr, admin);
    case TransportType::rdma:
      throw Error(Misuse::not_supported, "NVMe over RDMA is not part of this library yet")
          .with_device(settings.name)
          .with_hint("use trtype:TCP");
  }
  throw Error(Misuse::invalid_argument, "unknown transport");
}

}  // namespace spdkio::nvme
