// `spdkio bench`: measures block devices.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_bench_command(CLI::App& root);

}  // namespace spdkio::tool
