// From values to pixels, and the values that get a label.
#pragma once

#include "spdkio/report/svg_chart.hpp"

#include <string>
#include <vector>

namespace spdkio::tool {

struct AxisTick {
  double value = 0;
  std::string label;
};

/// One axis of a drawing: `low` and `high` in values map to `from_px` and `to_px`.
class AxisMap {
 public:
  AxisMap(ChartAxis axis, double low, double high, double from_px, double to_px);

  double pixel(double value) const;
  const std::vector<AxisTick>& ticks() const { return ticks_; }

 private:
  double transformed(double value) const;
  void place_linear_ticks(double low, double high);
  void place_log_ticks(double low, double high);

  ChartAxis axis_;
  double low_;
  double high_;
  double from_px_;
  double to_px_;
  std::vector<AxisTick> ticks_;
};

std::string format_value(AxisUnit unit, double value);

}  // namespace spdkio::tool
