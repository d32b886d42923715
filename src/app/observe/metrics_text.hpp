// Metrics as Prometheus reads them: the text exposition format, version 0.0.4.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace spdkio::app {

using MetricLabel = std::pair<std::string_view, std::string_view>;
using MetricLabels = std::initializer_list<MetricLabel>;

enum class MetricType : std::uint8_t { counter, gauge, histogram };

/// Writes families one after the other; the samples of a family follow its `family` call. Names and label names are
/// literals of the caller's, in the form that the format asks for; label values may be any bytes.
class MetricsText {
 public:
  void family(std::string_view name, MetricType type, std::string_view help);
  void sample(MetricLabels labels, double value);
  void sample(MetricLabels labels, std::uint64_t value);
  /// A histogram: `bounds` ascending with the number of values up to each, then all of them and their sum.
  struct Bucket {
    double bound;
    std::uint64_t count;
  };
  void histogram(MetricLabels labels, std::span<const Bucket> buckets, std::uint64_t count, double sum);

  const std::string& text() const noexcept { return text_; }
  std::string take() noexcept { return std::move(text_); }

 private:
  void begin(std::string_view suffix, MetricLabels labels, std::string_view extra_name = {},
             std::string_view extra_value = {});
  std::string name_;
  std::string text_;
};

/// A number as the format wants it: shortest form, `+Inf`, `-Inf`, `NaN`.
std::string metric_number(double value);

}  // namespace spdkio::app
