// `spdkio rpc METHOD`: calls a method of a running program.
#pragma once

#include "spdkio/cli/command.hpp"

#include <spdkio/rpc/json.hpp>

#include <string>
#include <vector>

namespace spdkio::tool {

Command add_rpc_command(CLI::App& root);

/// Parameters as typed: one JSON object or list, or `key=value` words. Null when there are none. Throws `Failure`.
Json params_from_words(const std::vector<std::string>& words);

}  // namespace spdkio::tool
