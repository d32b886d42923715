// `spdkio top`: devices and threads of a running program, live.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_top_command(CLI::App& root);

}  // namespace spdkio::tool
