#include <spdkio/base/base64.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/latency_histogram.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace spdkio {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using Bucket = LatencyHistogram::Bucket;

std::vector<Bucket> filled(const LatencyHistogram& histogram) {
  std::vector<Bucket> buckets;
  histogram.for_each([&](const Bucket& b) { buckets.push_back(b); });
  return buckets;
}

TEST(LatencyHistogram, HasTheLayoutOfSpdk) {
  const LatencyHistogram h;
  EXPECT_EQ(h.bucket_shift(), 7u);
  EXPECT_EQ(h.num_ranges(), 58u);
  EXPECT_EQ(h.counts().size(), 58u * 128u);
  // range << 7 | index, from the table of ranges in SPDK's histogram_data.h
  EXPECT_EQ(h.index_of(0), 0u);
  EXPECT_EQ(h.index_of(127), 127u);
  EXPECT_EQ(h.index_of(128), 128u);
  EXPECT_EQ(h.index_of(255), 255u);
  EXPECT_EQ(h.index_of(256), 256u);
  EXPECT_EQ(h.index_of(257), 256u);
  EXPECT_EQ(h.index_of(258), 257u);
  EXPECT_EQ(h.index_of(511), 383u);
  EXPECT_EQ(h.index_of(512), 384u);
  EXPECT_EQ(h.index_of(2048), 5u << 7);
  EXPECT_EQ(h.index_of(std::uint64_t{1} << 61), 55u << 7);
  EXPECT_EQ(h.index_of(UINT64_MAX), 58u * 128u - 1);
}

TEST(LatencyHistogram, BucketsJoinWithoutGap) {
  for (const unsigned shift : {1u, 3u, 7u, 12u}) {
    const LatencyHistogram h(shift);
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < h.counts().size(); ++i) {
      const Bucket b = h.bucket(i);
      ASSERT_EQ(b.low, next) << shift << ' ' << i;
      ASSERT_EQ(h.index_of(b.low), i);
      const bool last = i + 1 == h.counts().size();
      ASSERT_EQ(h.index_of(last ? b.high : b.high - 1), i);
      next = b.high;
    }
    EXPECT_EQ(next, UINT64_MAX);
  }
}

TEST(LatencyHistogram, CountsIntoItsBuckets) {
  LatencyHistogram h;
  for (const std::uint64_t v : {0u, 5u, 5u, 1000u, 1003u}) h.record(v);
  h.record(UINT64_MAX);
  EXPECT_THAT(filled(h), ElementsAre(Bucket{0, 1, 1}, Bucket{5, 6, 2}, Bucket{1000, 1004, 2},
                                     Bucket{UINT64_MAX - (std::uint64_t{1} << 56) + 1, UINT64_MAX, 1}));
  EXPECT_EQ(h.count(), 6u);
  EXPECT_EQ(h.min(), 0u);
  EXPECT_EQ(h.max(), UINT64_MAX);
}

TEST(LatencyHistogram, EmptyIsZero) {
  const LatencyHistogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.min(), 0u);
  EXPECT_EQ(h.max(), 0u);
  EXPECT_EQ(h.mean(), 0);
  EXPECT_EQ(h.percentile(50), 0u);
  EXPECT_EQ(h.count_below(100), 0u);
  EXPECT_TRUE(filled(h).empty());
}

TEST(LatencyHistogram, MeanDoesNotOverflow) {
  LatencyHistogram h;
  for (int i = 0; i < 4; ++i) h.record(UINT64_MAX);
  EXPECT_DOUBLE_EQ(h.mean(), 18446744073709551615.0);
  LatencyHistogram small;
  small.record(1);
  small.record(2);
  EXPECT_DOUBLE_EQ(small.mean(), 1.5);
  h.merge(h);
  EXPECT_DOUBLE_EQ(h.mean(), 18446744073709551615.0);
}

TEST(LatencyHistogram, PercentilesAreWithinABucketOfTheTruth) {
  std::mt19937_64 generator(7);
  std::lognormal_distribution<double> distribution(10, 1.5);
  LatencyHistogram h;
  std::vector<std::uint64_t> values(50'000);
  for (auto& v : values) {
    v = static_cast<std::uint64_t>(distribution(generator));
    h.record(v);
  }
  std::ranges::sort(values);
  for (const double p : {0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
    // The rank falls between two neighbours; in the tails they may lie far apart.
    const auto rank = static_cast<std::size_t>(p / 100 * static_cast<double>(values.size()));
    const auto found = static_cast<double>(h.percentile(p));
    EXPECT_GE(found, static_cast<double>(values[rank - 1]) * 0.99 - 1) << p;
    EXPECT_LE(found, static_cast<double>(values[rank]) * 1.01 + 1) << p;
  }
  EXPECT_EQ(h.percentile(0), values.front());
  EXPECT_EQ(h.percentile(100), values.back());
}

TEST(LatencyHistogram, PercentilesInterpolateAndStayWithinWhatWasSeen) {
  LatencyHistogram h;
  for (int i = 0; i < 100; ++i) h.record((std::uint64_t{1} << 20) + static_cast<std::uint64_t>(i) * 81);
  const Bucket bucket = h.bucket(h.index_of(std::uint64_t{1} << 20));
  ASSERT_EQ(bucket.count, 100u);  // 8192 wide
  EXPECT_EQ(h.percentile(50), bucket.low + 4096);
  EXPECT_EQ(h.percentile(25), bucket.low + 2048);
  EXPECT_EQ(h.percentile(99.9), h.max());

  LatencyHistogram one;
  one.record(1'000'001);
  for (const double p : {-5.0, 0.0, 0.001, 50.0, 100.0, 1000.0}) EXPECT_EQ(one.percentile(p), 1'000'001u) << p;
  EXPECT_EQ(one.percentile(std::numeric_limits<double>::quiet_NaN()), 1'000'001u);
}

TEST(LatencyHistogram, CountBelow) {
  LatencyHistogram h;
  for (std::uint64_t v = 0; v < 100; ++v) h.record(v);
  EXPECT_EQ(h.count_below(0), 0u);
  EXPECT_EQ(h.count_below(1), 1u);
  EXPECT_EQ(h.count_below(50), 50u);
  EXPECT_EQ(h.count_below(1'000'000), 100u);
  EXPECT_EQ(h.count_below(UINT64_MAX), 100u);
  LatencyHistogram coarse(1);
  for (int i = 0; i < 8; ++i) coarse.record(64);
  EXPECT_EQ(coarse.count_below(80), 4u);  // the middle of 64..96
}

TEST(LatencyHistogram, Merges) {
  LatencyHistogram a;
  LatencyHistogram b;
  LatencyHistogram both;
  for (std::uint64_t v = 1; v < 5000; v += 7) {
    (v % 2 == 0 ? a : b).record(v * v);
    both.record(v * v);
  }
  a.merge(b);
  EXPECT_TRUE(std::ranges::equal(a.counts(), both.counts()));
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
  a.merge(LatencyHistogram{});
  EXPECT_EQ(a.min(), both.min());
  EXPECT_THROW(a.merge(LatencyHistogram{6}), Error);
}

TEST(LatencyHistogram, Resets) {
  LatencyHistogram h;
  const auto* storage = h.counts().data();
  h.record(77);
  h.reset();
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.max(), 0u);
  EXPECT_TRUE(filled(h).empty());
  h.record(9);
  EXPECT_EQ(h.min(), 9u);
  EXPECT_EQ(h.counts().data(), storage);
}

TEST(LatencyHistogram, RefusesOtherShifts) {
  EXPECT_THROW(LatencyHistogram{0}, Error);
  EXPECT_THROW(LatencyHistogram{13}, Error);
  EXPECT_THROW(LatencyHistogram{64}, Error);
}

// What bdev_get_histogram answers with, read the way SPDK's scripts/histogram.py computes bucket ends.
TEST(LatencyHistogram, IsReadableByTheFormulaOfSpdk) {
  LatencyHistogram h;
  for (const std::uint64_t v : {3u, 300u, 70'000u, 70'001u, 9'000'000u}) h.record(v);
  const auto bytes = base64_decode(base64_encode(std::as_bytes(h.counts())));
  std::vector<Bucket> seen;
  std::uint64_t end = 0;
  for (unsigned range = 0; range < h.num_ranges() - 1; ++range) {
    for (std::uint64_t j = 0; j < 128; ++j) {
      std::uint64_t count;
      std::memcpy(&count, bytes.data() + ((range << 7) + j) * 8, sizeof count);
      const std::uint64_t start = end;
      end = range > 0 ? (std::uint64_t{1} << (range + 6)) + ((j + 1) << (range - 1)) : j + 1;
      if (count != 0) seen.push_back({start, end, count});
    }
  }
  EXPECT_EQ(seen, filled(h));
}

TEST(LatencyHistogram, FromCounts) {
  LatencyHistogram h;
  for (std::uint64_t v = 1000; v < 100'000; v += 13) h.record(v);
  const LatencyHistogram copy = LatencyHistogram::from_counts(7, h.counts());
  EXPECT_EQ(copy.count(), h.count());
  EXPECT_EQ(filled(copy), filled(h));
  EXPECT_EQ(copy.index_of(copy.min()), h.index_of(h.min()));
  EXPECT_EQ(copy.index_of(copy.max()), h.index_of(h.max()));
  EXPECT_THAT(copy.mean(), DoubleNear(h.mean(), h.mean() / 128));
  EXPECT_EQ(copy.percentile(50), h.percentile(50));
  EXPECT_THROW(LatencyHistogram::from_counts(6, h.counts()), Error);
  EXPECT_THROW(LatencyHistogram::from_counts(7, h.counts().first(5)), Error);

  LatencyHistogram top;
  for (int i = 0; i < 3; ++i) top.record(UINT64_MAX);
  const LatencyHistogram top_copy = LatencyHistogram::from_counts(7, top.counts());
  EXPECT_EQ(top_copy.max(), UINT64_MAX);
  EXPECT_THAT(top_copy.mean() / top.mean(), DoubleNear(1, 0.01));
}

}  // namespace
}  // namespace spdkio
