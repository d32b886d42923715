// One line that shows how far a job is: redrawn in place on a terminal, a plain line now and then elsewhere.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace spdkio::tool {

/// Where a job is at a moment. The counters only grow.
struct ProgressSample {
  std::chrono::steady_clock::time_point now;
  std::optional<double> fraction;  ///< 0 to 1; none when the end is not known
  std::uint64_t ios = 0;           ///< operations so far; 0 all along hides the IOPS
  std::uint64_t bytes = 0;         ///< bytes so far
  std::string note;                ///< shown at the end: "3 errors", "p99 12 us"
};

struct ProgressOptions {
  std::string title;
  /// Time between plain lines when there is no live terminal.
  std::chrono::milliseconds plain_interval{5000};
  /// Faster updates than this are not drawn.
  std::chrono::milliseconds live_interval{100};
};

/// Not thread-safe. The caller brings the time with each sample, so nothing here reads a clock. The destructor clears a
/// line that was not finished, so that an error message starts on an empty line.
class ProgressLine {
 public:
  ProgressLine(Terminal terminal, ProgressOptions options, std::chrono::steady_clock::time_point start);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

  void update(const ProgressSample& sample);
  /// Takes the live line away. Later updates are ignored.
  void finish();

 private:
  void measure(const ProgressSample& sample);
  std::string remaining(const ProgressSample& sample) const;
  std::string live_line(const ProgressSample& sample) const;
  std::string plain_line(const ProgressSample& sample) const;

  Terminal terminal_;
  ProgressOptions options_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point drawn_;
  std::chrono::steady_clock::time_point measured_;
  std::uint64_t measured_ios_ = 0;
  std::uint64_t measured_bytes_ = 0;
  double ios_per_second_ = 0;
  double bytes_per_second_ = 0;
  std::deque<double> history_;
  bool visible_ = false;
  bool finished_ = false;
};

}  // namespace spdkio::tool
