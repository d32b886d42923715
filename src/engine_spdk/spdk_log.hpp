// SPDK's log lines in the log of this library.
#pragma once

#include <string>

namespace spdkio::spdk {

/// From now on what SPDK logs and prints goes to spdkio::log: errors and warnings at their level, notices as debug.
void redirect_log();

/// Some functions of SPDK's say only in the log what went wrong. While this lives, the errors and warnings that SPDK
/// logs on this OS thread are appended to `text` (the first few, without SPDK's name of the queue pair, parted by ";
/// "), and go to the log as debug.
class LogCapture {
 public:
  explicit LogCapture(std::string& text) noexcept;
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  ~LogCapture();

 private:
  std::string* const outer_;
};

}  // namespace spdkio::spdk
