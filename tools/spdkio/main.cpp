
#include "spdkio/cli/program.hpp"

#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  // A reader that goes away (`spdkio list | head`) shows up as a failed write, which is reported.
  std::signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);
  return spdkio::tool::run_program({argv, argv + argc},
                                   {.out = std::cout,
                                    .err = std::cerr,
                                    .out_fd = STDOUT_FILENO,
                                    .err_fd = STDERR_FILENO,
                                    .get_env = [](const char* name) { return std::getenv(name); }});
}
