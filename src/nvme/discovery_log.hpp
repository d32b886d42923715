// Entries of the discovery log, as they come from the wire.
#pragma once

#include <spdkio/nvme/discover.hpp>
#include <spdkio/spec/discovery.hpp>

namespace spdkio::nvme {

/// Any bytes: what can't be right gives an entry that is not `connectable`.
DiscoveryEntry parse_discovery_entry(const spec::discovery::LogEntry& raw);

}  // namespace spdkio::nvme
