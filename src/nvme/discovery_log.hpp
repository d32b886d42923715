// Entries of the discovery log, as they come from the wire.
#pragma once

#include <spdkio/nvme/discover.hpp>
#include <spdkio/spec/discovery.hpp>

#include <memory>
#include <vector>

namespace spdkio::nvme {

class ControllerCore;

/// Any bytes: what can't be right gives an entry that is not `connectable`.
DiscoveryEntry parse_discovery_entry(const spec::discovery::LogEntry& raw);

/// The whole page, consistent, of a discovery controller that is connected. On its Thread.
Task<std::vector<DiscoveryEntry>> read_discovery_log(std::shared_ptr<ControllerCore> core);

}  // namespace spdkio::nvme
