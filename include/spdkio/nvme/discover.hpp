// Discovery: what subsystems a discovery service knows.
#pragma once

#include <spdkio/nvme/options.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/spec/discovery.hpp>

#include <cstdint>
#include <vector>

namespace spdkio::nvme {

/// An entry of the discovery log page.
struct DiscoveryEntry {
  /// How to connect. `trtype` is meaningful only when `connectable`.
  TransportId id;
  bool connectable = false;  ///< a transport that TransportId has, with fields that can be right
  spec::discovery::SubsystemType type{};
  std::uint16_t port_id = 0;
  std::uint16_t controller_id = 0;
  spec::discovery::LogEntry raw;
};

struct DiscoverOptions {
  ControllerOptions controller{};
  /// Ask the discovery services that this one refers to as well, each once.
  bool follow_referrals = false;
};

/// Connects to the discovery service at `id` (its subsystem NQN may be left out), reads the log page until it is
/// consistent, and disconnects. Throws Error as Controller::connect does.
Task<std::vector<DiscoveryEntry>> discover(const TransportId& id, const DiscoverOptions& options = {});

}  // namespace spdkio::nvme
