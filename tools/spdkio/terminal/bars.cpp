
#include "spdkio/terminal/bars.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace spdkio::tool {
namespace {

constexpr std::array<std::string_view, 8> eighths{"",       "\u258F", "\u258E", "\u258D",
                                                  "\u258C", "\u258B", "\u258A", "\u2589"};
constexpr std::array<std::string_view, 8> heights{"\u2581", "\u2582", "\u2583", "\u2584",
                                                  "\u2585", "\u2586", "\u2587", "\u2588"};
constexpr std::array<std::string_view, 8> ascii_heights{"_", "_", ".", "-", "-", "=", "*", "#"};

double clean(double fraction) { return std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0; }

}  // namespace

std::string bar(const Terminal& terminal, double fraction, std::size_t width) {
  fraction = clean(fraction);
  if (!terminal.traits().unicode) {
    auto length = static_cast<std::size_t>(std::lround(fraction * static_cast<double>(width)));
    if (length == 0 && fraction > 0) return ".";
    return std::string(length, '#');
  }
  auto steps = static_cast<std::size_t>(std::lround(fraction * static_cast<double>(width) * 8));
  if (steps == 0 && fraction > 0) steps = 1;
  std::string text;
  for (std::size_t i = 0; i < steps / 8; ++i) text += "\u2588";
  text += eighths[steps % 8];
  return text;
}

std::string gauge(const Terminal& terminal, double fraction, std::size_t width) {
  std::string text = bar(terminal, fraction, width);
  for (std::size_t i = display_width(text); i < width; ++i) text += terminal.pick("\u2591", "-");
  return text;
}

std::string sparkline(const Terminal& terminal, std::span<const double> values) {
  double top = 0;
  for (const double value : values) top = std::max(top, std::isfinite(value) ? value : 0);
  const auto& steps = terminal.traits().unicode ? heights : ascii_heights;
  std::string text;
  for (const double value : values) {
    const double part = top > 0 ? clean(value / top) : 0;
    text += steps[static_cast<std::size_t>(std::lround(part * 7))];
  }
  return text;
}

}  // namespace spdkio::tool
