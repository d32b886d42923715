// Completion scripts, written from the command tree so that they cannot miss an option.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace spdkio::tool {

// Commands have one level: none of these descends into commands of commands.
std::string bash_completion(const CLI::App& root);
std::string zsh_completion(const CLI::App& root);
std::string fish_completion(const CLI::App& root);

}  // namespace spdkio::tool
