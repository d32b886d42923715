// The program as a function: arguments and streams in, exit code out.
#pragma once

#include "spdkio/cli/command.hpp"
#include "spdkio/cli/session.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace spdkio::tool {

/// The command tree. `commands` belong to `root`.
struct Program {
  std::unique_ptr<CLI::App> root;
  std::unique_ptr<GlobalOptions> global;
  std::vector<Command> commands;
};

/// Builds the tree of all commands. `width` is what help pages may take.
Program make_program(std::size_t width);

struct Streams {
  std::ostream& out;
  std::ostream& err;
  int out_fd;  ///< what `out` writes to, to learn what it can show; -1 for none
  int err_fd;
  GetEnv get_env;
};

/// Parses and runs. `args[0]` is the program's name. Never throws.
int run_program(const std::vector<std::string>& args, const Streams& streams);

}  // namespace spdkio::tool
