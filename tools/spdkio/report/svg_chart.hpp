// Charts as SVG text. Colours, fonts and dark mode come from the style sheet of the page that holds them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

struct ChartPoint {
  double x = 0;
  double y = 0;
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  ///< x rises
  unsigned color = 0;              ///< index into the page's palette
};

enum class AxisScale {
  linear,
  log,    ///< values below the smallest positive one are drawn there
  nines,  ///< percent; 90, 99, 99.9, ... are equally far apart
};

enum class AxisUnit { count, bytes_per_second, latency_ns, seconds, percent };

struct ChartAxis {
  AxisUnit unit = AxisUnit::count;
  AxisScale scale = AxisScale::linear;
};

struct LineChart {
  std::string title;
  ChartAxis x;
  ChartAxis y;
  std::vector<ChartSeries> series;
};

struct ChartBar {
  double from = 0;
  double to = 0;
  double value = 0;
};

/// Bars over a logarithmic latency axis, as the share of all operations in percent.
struct HistogramChart {
  std::string title;
  std::vector<ChartBar> bars;
  unsigned color = 0;
};

/// A `<figure>` with title, legend (from two series on), drawing, and the values that the page's script shows under the
/// pointer. Empty text when there is nothing to draw.
std::string render(const LineChart& chart);
std::string render(const HistogramChart& chart);

/// Text as it may stand in HTML and in attributes.
std::string escape_html(std::string_view text);

}  // namespace spdkio::tool
