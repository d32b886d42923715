// `spdkio completion SHELL`: prints a completion script made from the command tree.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_completion_command(CLI::App& root);

}  // namespace spdkio::tool
