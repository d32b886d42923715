// `spdkio trace`: what a running program does, as a file for Perfetto or chrome://tracing.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_trace_command(CLI::App& root);

}  // namespace spdkio::tool
