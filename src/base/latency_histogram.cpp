#include <spdkio/base/error.hpp>
#include <spdkio/base/latency_histogram.hpp>

#include <fmt/format.h>

#include <cmath>

namespace spdkio {
namespace {

unsigned checked_shift(unsigned shift) {
  if (shift < LatencyHistogram::min_bucket_shift || shift > LatencyHistogram::max_bucket_shift) {
    throw Error(Misuse::invalid_argument,
                fmt::format("a histogram's bucket shift is {} to {}, not {}", LatencyHistogram::min_bucket_shift,
                            LatencyHistogram::max_bucket_shift, shift));
  }
  return shift;
}

// The part of a bucket's width that `position` of its `count` values take.
std::uint64_t fraction_of(std::uint64_t width, double position, std::uint64_t count) {
  return static_cast<std::uint64_t>(static_cast<double>(width) * (position / static_cast<double>(count)));
}

}  // namespace

LatencyHistogram::LatencyHistogram(unsigned bucket_shift)
    : shift_(checked_shift(bucket_shift)), counts_(std::size_t{num_ranges()} << shift_) {}

LatencyHistogram LatencyHistogram::from_counts(unsigned bucket_shift, std::span<const std::uint64_t> counts) {
  LatencyHistogram histogram(bucket_shift);
  if (counts.size() != histogram.counts_.size()) {
    throw Error(Misuse::invalid_argument, fmt::format("a histogram of bucket shift {} has {} buckets, not {}",
                                                      bucket_shift, histogram.counts_.size(), counts.size()));
  }
  std::ranges::copy(counts, histogram.counts_.begin());
  double sum = 0;
  histogram.for_each([&](const Bucket& b) {
    if (histogram.count_ == 0) histogram.min_ = b.low;
    histogram.max_ = b.high == UINT64_MAX ? b.high : b.high - 1;
    histogram.count_ += b.count;
    const double middle = static_cast<double>(b.low) + static_cast<double>(histogram.max_ - b.low) / 2;
    sum += middle * static_cast<double>(b.count);
  });
  histogram.sum_high_ = static_cast<std::uint64_t>(std::ldexp(sum, -64));
  histogram.sum_low_ = static_cast<std::uint64_t>(sum - std::ldexp(static_cast<double>(histogram.sum_high_), 64));
  return histogram;
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  if (other.shift_ != shift_) {
    throw Error(Misuse::invalid_argument,
                fmt::format("histograms of bucket shift {} and {} do not merge", shift_, other.shift_));
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  const std::uint64_t added = other.sum_low_;
  sum_low_ += added;
  sum_high_ += other.sum_high_ + (sum_low_ < added ? 1 : 0);
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

void LatencyHistogram::reset() noexcept {
  std::ranges::fill(counts_, 0);
  count_ = sum_low_ = sum_high_ = max_ = 0;
  min_ = UINT64_MAX;
}

double LatencyHistogram::mean() const noexcept {
  if (count_ == 0) return 0;
  const double sum = std::ldexp(static_cast<double>(sum_high_), 64) + static_cast<double>(sum_low_);
  return sum / static_cast<double>(count_);
}

LatencyHistogram::Bucket LatencyHistogram::bucket(std::size_t index) const noexcept {
  const auto range = static_cast<unsigned>(index >> shift_);
  const std::uint64_t per_range = std::uint64_t{1} << shift_;
  const std::uint64_t place = index & (per_range - 1);
  if (range == 0) return {place, place + 1, counts_[index]};
  const unsigned width_log2 = range - 1;
  const std::uint64_t low = (per_range + place) << width_log2;
  const std::uint64_t high = low + (std::uint64_t{1} << width_log2);
  return {low, high == 0 ? UINT64_MAX : high, counts_[index]};
}

std::uint64_t LatencyHistogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  if (!(percent > 0)) return min_;
  if (percent >= 100) return max_;
  const double wanted = percent / 100 * static_cast<double>(count_);
  double before = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const auto here = static_cast<double>(counts_[i]);
    if (before + here >= wanted) {
      const Bucket b = bucket(i);
      return std::clamp(b.low + fraction_of(b.high - b.low, wanted - before, b.count), min_, max_);
    }
    before += here;
  }
  return max_;
}

std::uint64_t LatencyHistogram::count_below(std::uint64_t value) const noexcept {
  const std::size_t index = index_of(value);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < index; ++i) below += counts_[i];
  const Bucket b = bucket(index);
  if (b.count != 0) below += fraction_of(b.count, static_cast<double>(value - b.low), b.high - b.low);
  return below;
}

}  // namespace spdkio
