#include "nvme/transport_factory.hpp"

#include <spdkio/base/error.hpp>

#include "nvme/pcie/pcie_transport.hpp"
#include "nvme/tcp/tcp_transport.hpp"

namespace spdkio::nvme {

std::unique_ptr<HostTransport> make_transport(const ControllerSettings& settings, AdminCommands& admin) {
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
