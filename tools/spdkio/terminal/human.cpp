
#include "spdkio/terminal/human.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace spdkio::tool {
namespace {

// Rounds before it chooses the number of decimals, so that 9.996 prints as 10.0 and not as 10.00.
std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

}  // namespace

std::string human_latency(double latency_ns) {
  if (!std::isfinite(latency_ns) || latency_ns < 0) return "-";
  static constexpr std::array<const char*, 4> units{"ns", "us", "ms", "s"};
  double value = latency_ns;
  std::size_t step = 0;
  // 999.5 of one unit would print as 1000; the next unit says it in three digits.
  while (step + 1 < units.size() && value >= 999.5) {
    value /= 1000;
    ++step;
  }
  return fmt::format("{} {}", step == 0 ? fmt::format("{:.0f}", value) : three_digits(value), units[step]);
}

std::string human_clock(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-:--";
  const double capped = std::min(seconds, 359999.0);  // 99:59:59
  const auto total = static_cast<std::uint64_t>(std::llround(capped));
  const std::uint64_t hours = total / 3600;
  const std::uint64_t minutes = total / 60 % 60;
  if (hours != 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

}  // namespace spdkio::tool
