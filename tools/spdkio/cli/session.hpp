// What a command gets besides its own options: where to write and the options that every command shares.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <string>
#include <vector>

namespace spdkio::tool {

/// Options that stand before or after any command.
struct GlobalOptions {
  std::string engine = "embedded";
  bool verbose = false;
  bool no_color = false;
};

struct Session {
  Terminal out;
  Terminal err;
  GlobalOptions global;
  GetEnv get_env;
  std::vector<std::string> command_line;  ///< as it was typed, for reports
};

}  // namespace spdkio::tool
