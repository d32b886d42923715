// What the command tree knows about an option, in the form in which help and completion need it.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace spdkio::tool {

enum class ValueKind { none, text, choice, file, directory };

struct OptionInfo {
  std::vector<std::string> names;  ///< with dashes, short ones first; empty for positional arguments
  std::string positional;          ///< name of a positional argument; empty for options
  std::string metavar;             ///< `N` in `--queue-depth N`; empty for flags
  std::vector<std::string> choices;
  ValueKind value = ValueKind::none;
  bool repeats = false;
  bool required = false;
  std::string description;
  std::string environment;  ///< the variable that can stand in for it
  std::string default_text;
};

OptionInfo describe_option(const CLI::Option& option);
/// Options and arguments that are not hidden, in the order in which they were added.
std::vector<OptionInfo> describe_options(const CLI::App& app);
/// Commands that are not hidden.
std::vector<const CLI::App*> visible_commands(const CLI::App& app);

}  // namespace spdkio::tool
