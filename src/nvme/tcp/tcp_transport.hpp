// The NVMe/TCP transport of the initiator.
#pragma once

#include <memory>

#include "nvme/settings.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme::tcp {

std::unique_ptr<HostTransport> make_tcp_transport(const ControllerSettings& settings);

}  // namespace spdkio::nvme::tcp
