// Help that teaches: options, then examples that can be pasted, environment variables and exit codes.
#pragma once

#include <CLI/CLI.hpp>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace spdkio::tool {

struct Example {
  std::string_view purpose;
  std::string_view command;
};

struct HelpSection {
  std::string_view title;
  std::string_view text;  ///< lines as they shall appear, without indent
};

/// Sets what follows the options on a command's help page.
void add_help_sections(CLI::App& app, std::initializer_list<Example> examples,
                       std::initializer_list<HelpSection> sections = {});

/// Writes a command's page from the tree. `width` is that of the terminal.
std::shared_ptr<CLI::FormatterBase> make_help_formatter(std::size_t width);

}  // namespace spdkio::tool
