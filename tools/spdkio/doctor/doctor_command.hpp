// `spdkio doctor`: what this machine offers for storage I/O, what is missing, and the commands that fix it.
#pragma once

#include "spdkio/cli/command.hpp"

namespace spdkio::tool {

Command add_doctor_command(CLI::App& root);

}  // namespace spdkio::tool
