// `spdkio nvme`: raw commands to NVMe controllers, with nvme-cli's words.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_nvme_command(CLI::App& root);

}  // namespace spdkio::tool
