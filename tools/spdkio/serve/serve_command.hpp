// `spdkio serve`: a target daemon.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_serve_command(CLI::App& root);

}  // namespace spdkio::tool
