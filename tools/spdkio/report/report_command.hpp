// `spdkio report RESULT...`: one HTML page from the JSON results of one or several runs.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_report_command(CLI::App& root);

}  // namespace spdkio::tool
