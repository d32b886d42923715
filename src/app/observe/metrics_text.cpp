#include "app/observe/metrics_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace spdkio::app {
namespace {

std::string_view to_string(MetricType type) {
  switch (type) {
    case MetricType::counter: return "counter";
    case MetricType::gauge: return "gauge";
    case MetricType::histogram: return "histogram";
  }
  return "untyped";
}

void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '"') {
      out += "\\\"";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string metric_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

void MetricsText::family(std::string_view name, MetricType type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, to_string(type));
}

void MetricsText::begin(std::string_view suffix, MetricLabels labels, std::string_view extra_name,
                        std::string_view extra_value) {
  text_ += name_;
  text_ += suffix;
  char separator = '{';
  const auto add = [&](std::string_view name, std::string_view value) {
    text_ += separator;
    separator = ',';
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, value);
    text_ += '"';
  };
  for (const auto& [name, value] : labels) add(name, value);
  if (!extra_name.empty()) add(extra_name, extra_value);
  if (separator == ',') text_ += '}';
  text_ += ' ';
}

void MetricsText::sample(MetricLabels labels, double value) {
  begin({}, labels);
  text_ += metric_number(value);
  text_ += '\n';
}

void MetricsText::sample(MetricLabels labels, std::uint64_t value) {
  begin({}, labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void MetricsText::histogram(MetricLabels labels, std::span<const Bucket> buckets, std::uint64_t count, double sum) {
  auto out = std::back_inserter(text_);
  for (const Bucket& bucket : buckets) {
    begin("_bucket", labels, "le", metric_number(bucket.bound));
    fmt::format_to(out, "{}\n", bucket.count);
  }
  begin("_bucket", labels, "le", "+Inf");
  fmt::format_to(out, "{}\n", count);
  begin("_sum", labels);
  fmt::format_to(out, "{}\n", metric_number(sum));
  begin("_count", labels);
  fmt::format_to(out, "{}\n", count);
}

}  // namespace spdkio::app
