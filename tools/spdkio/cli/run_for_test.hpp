// Runs the whole program in a test and keeps what it wrote.
#pragma once

#include "spdkio/cli/program.hpp"

#include <sstream>
#include <string>
#include <vector>

namespace spdkio::tool {

struct ProgramRun {
  int code = 0;
  std::string out;
  std::string err;
};

inline ProgramRun run_for_test(std::vector<std::string> args) {
  std::ostringstream out;
  std::ostringstream err;
  args.insert(args.begin(), "spdkio");
  const GetEnv no_environment = [](const char*) -> const char* { return nullptr; };
  const int code = run_program(args, {.out = out, .err = err, .out_fd = -1, .err_fd = -1, .get_env = no_environment});
  return {code, out.str(), err.str()};
}

}  // namespace spdkio::tool
