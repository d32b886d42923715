// A histogram of latencies with a bounded relative error, in the bucket layout of SPDK's histograms.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace spdkio {

/// Counts values (ticks, see clock.hpp; any unit works) in buckets whose width grows with the value. With the default
/// `bucket_shift` of 7 a bucket is at most 1/128 of its lower bound wide, and the storage is 58 KiB, allocated once by
/// the constructor.
///
/// The layout is SPDK's: range 0 holds the values below 2^shift, range r the values of shift + r significant bits; each
/// range is cut into 2^shift buckets of equal width. `counts()` in base64 is what `bdev_get_histogram` answers with.
///
/// One thread at a time. Give each writer its own histogram and merge them.
class LatencyHistogram {
 public:
  static constexpr unsigned default_bucket_shift = 7;
  static constexpr unsigned min_bucket_shift = 1;
  static constexpr unsigned max_bucket_shift = 12;

  /// The values of one bucket: low <= value < high; `high` of the very last bucket is the largest value, included.
  struct Bucket {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::uint64_t count = 0;
    bool operator==(const Bucket&) const = default;
  };

  /// Throws Error (Misuse::invalid_argument) for a shift outside [min_bucket_shift, max_bucket_shift].
  explicit LatencyHistogram(unsigned bucket_shift = default_bucket_shift);
  /// A histogram of counts that another program took, in the layout of `counts()`. Smallest and largest value and the
  /// mean are then known to the width of a bucket. Throws Error (Misuse::invalid_argument) if the number of counts
  /// does not belong to the shift.
  static LatencyHistogram from_counts(unsigned bucket_shift, std::span<const std::uint64_t> counts);

  /// Counts one value.
  void record(std::uint64_t value) noexcept {
    ++counts_[index_of(value)];
    ++count_;
    sum_low_ += value;
    sum_high_ += sum_low_ < value ? 1 : 0;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }
  /// Adds what `other` counted. Throws Error (Misuse::invalid_argument) if its bucket shift differs.
  void merge(const LatencyHistogram& other);
  /// Forgets everything counted.
  void reset() noexcept;

  std::uint64_t count() const noexcept { return count_; }
  /// 0 if nothing was counted, as for `max`, `mean` and `percentile`.
  std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const noexcept { return max_; }
  double mean() const noexcept;
  /// The value that `percent` of the counted values do not exceed, interpolated within its bucket and never outside
  /// [min, max]. `percent` is clamped to 0..100.
  std::uint64_t percentile(double percent) const noexcept;
  /// How many of the counted values are below `value`, interpolated within its bucket.
  std::uint64_t count_below(std::uint64_t value) const noexcept;

  /// Calls `visit(Bucket)` for each bucket that counted something, in ascending order.
  template <class Visitor>
  void for_each(Visitor&& visit) const {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] != 0) visit(bucket(i));
    }
  }

  unsigned bucket_shift() const noexcept { return shift_; }
  /// How many ranges of 2^bucket_shift buckets there are: 58 by default.
  unsigned num_ranges() const noexcept { return 64 - shift_ + 1; }
  /// All buckets, ascending. Valid as long as the histogram.
  std::span<const std::uint64_t> counts() const noexcept { return counts_; }
  /// Bucket `index` of `counts()`.
  Bucket bucket(std::size_t index) const noexcept;
  /// The index in `counts()` of the bucket of `value`.
  std::size_t index_of(std::uint64_t value) const noexcept {
    const std::uint64_t mask = (std::uint64_t{1} << shift_) - 1;
    const unsigned range = static_cast<unsigned>(std::bit_width(value | mask)) - shift_;
    const unsigned width_log2 = range - (range != 0 ? 1 : 0);
    return (std::size_t{range} << shift_) + static_cast<std::size_t>((value >> width_log2) & mask);
  }

 private:
  unsigned shift_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_low_ = 0;
  std::uint64_t sum_high_ = 0;
  std::uint64_t min_ = UINT64_MAX;
  std::uint64_t max_ = 0;
  std::vector<std::uint64_t> counts_;
};

}  // namespace spdkio
