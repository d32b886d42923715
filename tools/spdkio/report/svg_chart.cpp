
#include "spdkio/report/svg_chart.hpp"

#include "spdkio/report/chart_axis.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace spdkio::tool {
namespace {

constexpr double width = 640;
constexpr double height = 260;
constexpr double left = 78;
constexpr double right = 604;
constexpr double top = 14;
constexpr double bottom = 226;
constexpr unsigned palette_size = 6;

struct HoverRow {
  std::string name;
  std::string text;
  double y;
  unsigned color;
};

struct HoverStop {
  std::string label;
  std::vector<HoverRow> rows;
};

unsigned palette_index(unsigned color) { return color % palette_size; }

std::string figure_start(const std::string& title, const std::vector<ChartSeries>& series) {
  std::string html = fmt::format("<figure class=\"chart\"><figcaption><span>{}</span>", escape_html(title));
  if (series.size() > 1) {
    html += "<span class=\"legend\">";
    for (const ChartSeries& one : series) {
      html += fmt::format("<span><i class=\"c{}\"></i>{}</span>", palette_index(one.color), escape_html(one.name));
    }
    html += "</span>";
  }
  return html + "</figcaption><div class=\"plot\">";
}

std::string axes(const AxisMap& x, const AxisMap& y, const std::string& title) {
  std::string svg =
      fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", width, height, escape_html(title));
  for (const AxisTick& tick : y.ticks()) {
    const double at = y.pixel(tick.value);
    svg += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left, right,
                       at, at);
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", left - 8, at + 4,
                       escape_html(tick.label));
  }
  double last_label = -std::numeric_limits<double>::infinity();
  for (const AxisTick& tick : x.ticks()) {
    const double at = x.pixel(tick.value);
    svg += fmt::format("<line class=\"notch\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", at, at,
                       bottom, bottom + 4);
    const double half = 3.2 * static_cast<double>(tick.label.size());
    if (at - half < last_label + 6) continue;
    last_label = at + half;
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", at,
                       bottom + 19, escape_html(tick.label));
  }
  svg += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left, right,
                     bottom, bottom);
  return svg;
}

std::string figure_end(const std::map<double, HoverStop>& stops) {
  auto json = nlohmann::json::array();
  for (const auto& [x, stop] : stops) {
    auto rows = nlohmann::json::array();
    for (const HoverRow& row : stop.rows) {
      rows.push_back({row.name, row.text, std::round(row.y * 10) / 10, palette_index(row.color)});
    }
    json.push_back({std::round(x * 10) / 10, stop.label, rows});
  }
  const std::string dump = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // Nothing in a script element may look like a tag.
  std::string data;
  for (const char c : dump) {
    if (c == '<') {
      data += "\\u003c";
    } else {
      data += c;
    }
  }
  return fmt::format(
      "<g class=\"hover\"></g></svg><div class=\"tip\" hidden></div></div>"
      "<script type=\"application/json\">{}</script></figure>\n",
      data);
}

bool usable(const ChartPoint& point, const ChartAxis& y) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (y.scale != AxisScale::log || point.y > 0);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string html;
  html.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': html += "&amp;"; break;
      case '<': html += "&lt;"; break;
      case '>': html += "&gt;"; break;
      case '"': html += "&quot;"; break;
      case '\'': html += "&#39;"; break;
      default: html += c;
    }
  }
  return html;
}

std::string render(const LineChart& chart) {
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low;
  double y_low = x_low, y_high = -x_low;
  std::vector<ChartSeries> series = chart.series;
  for (ChartSeries& one : series) {
    std::erase_if(one.points, [&](const ChartPoint& point) { return !usable(point, chart.y); });
    for (const ChartPoint& point : one.points) {
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      y_low = std::min(y_low, point.y);
      y_high = std::max(y_high, point.y);
    }
  }
  std::erase_if(series, [](const ChartSeries& one) { return one.points.empty(); });
  if (series.empty()) return {};

  if (chart.x.unit == AxisUnit::seconds) x_low = std::min(x_low, 0.0);
  if (chart.y.scale == AxisScale::linear) y_low = 0;
  const AxisMap x{chart.x, x_low, x_high, left, right};
  const AxisMap y{chart.y, chart.y.scale == AxisScale::log ? y_low / 1.1 : y_low, y_high * 1.08, bottom, top};

  std::string html = figure_start(chart.title, series) + axes(x, y, chart.title);
  std::map<double, HoverStop> stops;
  for (const ChartSeries& one : series) {
    std::string path;
    for (const ChartPoint& point : one.points) {
      const double px = x.pixel(point.x);
      const double py = y.pixel(point.y);
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px, py);
      HoverStop& stop = stops[std::round(px)];
      stop.label = format_value(chart.x.unit, point.x);
      stop.rows.push_back({one.name, format_value(chart.y.unit, point.y), py, one.color});
    }
    const unsigned color = palette_index(one.color);
    const char* dashes = one.color >= palette_size ? " dashed" : "";
    if (series.size() == 1) {
      html += fmt::format("<path class=\"area c{}\" d=\"{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z\"/>", color, path,
                          x.pixel(one.points.back().x), bottom, x.pixel(one.points.front().x), bottom);
    }
    html += fmt::format("<path class=\"line c{}{}\" d=\"{}\"/>", color, dashes, path);
    if (one.points.size() == 1) {
      html += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", color,
                          x.pixel(one.points.front().x), y.pixel(one.points.front().y));
    }
  }
  return html + figure_end(stops);
}

std::string render(const HistogramChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = 0, most = 0;
  for (const ChartBar& one : chart.bars) {
    if (one.value <= 0) continue;
    low = std::min(low, one.from);
    high = std::max(high, one.to);
    most = std::max(most, one.value);
  }
  if (most <= 0) return {};
  const AxisMap x{{AxisUnit::latency_ns, AxisScale::log}, std::max(low, 1.0), high, left, right};
  const AxisMap y{{AxisUnit::percent, AxisScale::linear}, 0, most * 1.05, bottom, top};
  std::string html = figure_start(chart.title, {}) + axes(x, y, chart.title);
  std::map<double, HoverStop> stops;
  for (const ChartBar& one : chart.bars) {
    if (one.value <= 0) continue;
    const double from = x.pixel(one.from);
    const double to = x.pixel(one.to);
    const double at = y.pixel(one.value);
    html += fmt::format("<rect class=\"bar c{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                        palette_index(chart.color), from + 0.5, at, std::max(to - from - 1, 0.8),
                        std::max(bottom - at, 0.6));
    const std::string range =
        format_value(AxisUnit::latency_ns, one.from) + " to " + format_value(AxisUnit::latency_ns, one.to);
    stops[(from + to) / 2] = {range, {{"share", format_value(AxisUnit::percent, one.value), at, chart.color}}};
  }
  return html + figure_end(stops);
}

}  // namespace spdkio::tool
