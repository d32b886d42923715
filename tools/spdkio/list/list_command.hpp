// `spdkio list`: the block devices of a configuration or of a running program.
#pragma once

#include "spdkio/cli/command.hpp"

#include <spdkio/rpc/json.hpp>

namespace spdkio::tool {

Command add_list_command(CLI::App& root);

/// Prints what `bdev_get_bdevs` answers as a table. Members that are missing or of another type are left empty.
void print_bdev_table(const Terminal& terminal, const Json& bdevs);

}  // namespace spdkio::tool
