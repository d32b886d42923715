// `spdkio blob ACTION STORE ...`.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_blob_command(CLI::App& root);

}  // namespace spdkio::tool
