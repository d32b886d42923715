// Driver: an NVMe initiator that an engine brings along, in place of the library's own.
#pragma once

#include <memory>

#include "nvme/settings.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme {

/// What stands behind HostTransport is the engine's; everything above it is the same on every engine. Any Thread.
class Driver {
 public:
  /// The way to the controller that `settings.id` names; nothing is opened yet. Throws Error for a transport or an
  /// option that the engine does not have, naming it.
  virtual std::unique_ptr<HostTransport> make_transport(const ControllerSettings& settings) = 0;

 protected:
  ~Driver() = default;
};

}  // namespace spdkio::nvme
