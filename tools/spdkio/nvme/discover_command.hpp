// `spdkio discover`: the subsystems that a discovery service knows.
#pragma once

#include "spdkio/cli/command.hpp"
#include "spdkio/terminal/terminal.hpp"

#include <spdkio/nvme/discover.hpp>
#include <spdkio/rpc/json.hpp>

#include <vector>

namespace spdkio::tool {

Command add_discover_command(CLI::App& root);

/// As `nvme discover --output-format=json`.
Json discovery_json(const std::vector<nvme::DiscoveryEntry>& entries);
/// A line for each, with a transport id that can be pasted.
void print_discovery(const Terminal& out, const std::vector<nvme::DiscoveryEntry>& entries);

}  // namespace spdkio::tool
