// One command of the program: its options, and what runs once they are parsed.
#pragma once

#include "spdkio/cli/failure.hpp"
#include "spdkio/cli/session.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <span>

namespace spdkio::tool {

struct Command {
  CLI::App* app = nullptr;  ///< owned by the root
  /// Runs after a command line without mistakes. Writes results to `session.out` and nothing else there; throws
  /// `Failure` or `spdkio::Error`.
  std::function<ExitCode(Session& session)> run;
};

/// Adds a command to the root. The returned function keeps the command's options alive.
using AddCommand = Command (*)(CLI::App& root);

/// Every command, in the order of the help text. This list is the only place where they are brought together.
std::span<const AddCommand> all_commands();

}  // namespace spdkio::tool
