// `spdkio copy SOURCE DESTINATION`.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_copy_command(CLI::App& root);

}  // namespace spdkio::tool
