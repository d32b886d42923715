// `spdkio identify`: what an NVMe controller and its namespaces say about themselves.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_identify_command(CLI::App& root);

}  // namespace spdkio::tool
