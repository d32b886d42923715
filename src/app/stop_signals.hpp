// StopSignals: SIGINT and SIGTERM ask the application to stop, for as long as the object lives.
#pragma once

#include <array>
#include <csignal>

namespace spdkio::app {

/// The first signal calls App::request_stop, the second one ends the process at once. The dispositions of before are
/// put back by the destructor. One at a time.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  /// The first signal that came; 0: none. Any OS thread.
  static int received() noexcept;

 private:
  static constexpr std::array<int, 2> handled{SIGINT, SIGTERM};
  std::array<struct sigaction, handled.size()> before_{};
};

}  // namespace spdkio::app
