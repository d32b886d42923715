// The transports that the initiator has: the engine's, or its own.
#pragma once

#include <memory>

#include "nvme/settings.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme {

/// The way to the controller that `settings.id` names; nothing is opened yet. `admin` outlives it. Throws
/// Misuse::not_supported for a transport that there is not.
std::unique_ptr<HostTransport> make_transport(const ControllerSettings& settings, AdminCommands& admin);

}  // namespace spdkio::nvme
