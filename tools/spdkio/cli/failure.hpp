// How a command says that it could not do what it was asked.
#pragma once

#include <stdexcept>
#include <string>

namespace spdkio::tool {

enum class ExitCode : int {
  success = 0,
  failed = 1,  ///< the operation failed
  usage = 2,   ///< the command line cannot be right
};

/// Thrown by commands; the program prints what happened and the hint, one line each, and ends with the exit code.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& what, std::string hint = {}, ExitCode code = ExitCode::failed)
      : std::runtime_error(what), hint_(std::move(hint)), code_(code) {}
  /// A command line that cannot be right.
  static Failure usage(const std::string& what, std::string hint = {}) {
    return Failure{what, std::move(hint), ExitCode::usage};
  }

  const std::string& hint() const { return hint_; }
  ExitCode code() const { return code_; }

 private:
  std::string hint_;
  ExitCode code_;
};

}  // namespace spdkio::tool
