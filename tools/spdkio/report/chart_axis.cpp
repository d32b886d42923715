
#include "spdkio/report/chart_axis.hpp"

#include "spdkio/terminal/human.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace spdkio::tool {
namespace {

// The step below this one would be finer than any percentile that is reported.
constexpr double least_rest_percent = 1e-4;

double nice_step(double span, double base, int wanted) {
  if (!(span > 0)) return 1;
  const double raw = span / wanted;
  if (base == 1024) {
    // Bytes: powers of two, and for small fractions of a unit what people would write.
    return std::exp2(std::ceil(std::log2(raw)));
  }
  const double decade = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double step : {1.0, 2.0, 2.5, 5.0}) {
    if (raw <= step * decade) return step * decade;
  }
  return 10 * decade;
}

// `1.50M` reads as `1.5M` on an axis.
std::string without_trailing_zeros(std::string text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos) return text;
  std::size_t end = dot + 1;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  std::size_t keep = end;
  while (keep > dot + 1 && text[keep - 1] == '0') --keep;
  if (keep == dot + 1) keep = dot;
  return text.erase(keep, end - keep);
}

std::string tick_label(AxisUnit unit, double value) {
  return unit == AxisUnit::percent ? fmt::format("{:g} %", value) : without_trailing_zeros(format_value(unit, value));
}

}  // namespace

std::string format_value(AxisUnit unit, double value) {
  switch (unit) {
    case AxisUnit::count: return format_count(value);
    case AxisUnit::bytes_per_second: return format_rate(value);
    case AxisUnit::latency_ns: return human_latency(value);
    case AxisUnit::seconds: return fmt::format("{:.6g} s", value);
    case AxisUnit::percent: return fmt::format("{:.4g} %", value);
  }
  return {};
}

AxisMap::AxisMap(ChartAxis axis, double low, double high, double from_px, double to_px)
    : axis_(axis), from_px_(from_px), to_px_(to_px) {
  switch (axis.scale) {
    case AxisScale::linear: place_linear_ticks(low, high); break;
    case AxisScale::log: place_log_ticks(low, high); break;
    case AxisScale::nines:
      low_ = low;
      high_ = high;
      for (const double percent : {0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999}) {
        if (percent >= low && percent <= high) ticks_.push_back({percent, fmt::format("{:g} %", percent)});
      }
      break;
  }
}

void AxisMap::place_linear_ticks(double low, double high) {
  low_ = low;
  high_ = high > low ? high : low + 1;
  if (axis_.unit == AxisUnit::seconds) {
    const double step = nice_step(high_ - low_, 10, 6);
    for (double value = std::ceil(low_ / step) * step; value <= high_ * (1 + 1e-9); value += step) {
      ticks_.push_back({value, tick_label(axis_.unit, value)});
    }
    return;
  }
  const double step = nice_step(high_ - low_, axis_.unit == AxisUnit::bytes_per_second ? 1024 : 10, 4);
  high_ = std::ceil(high_ / step) * step;
  for (double value = low_; value <= high_ * (1 + 1e-9); value += step) {
    ticks_.push_back({value, tick_label(axis_.unit, value)});
  }
}

void AxisMap::place_log_ticks(double low, double high) {
  low_ = std::max(low, 1e-9);
  high_ = std::max(high, low_ * 1.2);
  const double decades = std::log10(high_ / low_);
  const std::vector<double> steps = decades < 0.7   ? std::vector<double>{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8}
                                    : decades < 3.5 ? std::vector<double>{1, 2, 5}
                                                    : std::vector<double>{1};
  for (double decade = std::pow(10.0, std::floor(std::log10(low_))); decade <= high_; decade *= 10) {
    for (const double step : steps) {
      const double value = decade * step;
      if (value >= low_ * 0.999 && value <= high_ * 1.001) ticks_.push_back({value, tick_label(axis_.unit, value)});
    }
  }
}

double AxisMap::transformed(double value) const {
  switch (axis_.scale) {
    case AxisScale::linear: return value;
    case AxisScale::log: return std::log10(std::max(value, low_));
    case AxisScale::nines: return -std::log10(std::max(100 - value, least_rest_percent) / 100);
  }
  return value;
}

double AxisMap::pixel(double value) const {
  const double low = transformed(low_);
  const double high = transformed(high_);
  const double part = high > low ? (transformed(value) - low) / (high - low) : 0;
  return from_px_ + std::clamp(part, 0.0, 1.0) * (to_px_ - from_px_);
}

}  // namespace spdkio::tool
