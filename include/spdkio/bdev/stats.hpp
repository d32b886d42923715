// What a device did: counters per kind of operation, as `bdev_get_iostat` shows them.
#pragma once

#include <spdkio/base/latency_histogram.hpp>
#include <spdkio/bdev/io.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace spdkio::bdev {

/// Counters of one kind of operation.
struct OpStats {
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  /// Latency is measured on a sample of the operations, or on all while a histogram is enabled.
  std::uint64_t timed_operations = 0;
  std::uint64_t latency_ticks = 0;  ///< sum over the timed operations
  std::uint64_t min_latency_ticks = UINT64_MAX;
  std::uint64_t max_latency_ticks = 0;

  void add(const OpStats& other) noexcept {
    operations += other.operations;
    bytes += other.bytes;
    errors += other.errors;
    timed_operations += other.timed_operations;
    latency_ticks += other.latency_ticks;
    min_latency_ticks = std::min(min_latency_ticks, other.min_latency_ticks);
    max_latency_ticks = std::max(max_latency_ticks, other.max_latency_ticks);
  }
  /// Mean latency times the number of operations: what SPDK's `*_latency_ticks` mean.
  std::uint64_t estimated_total_ticks() const noexcept {
    return timed_operations == 0
               ? 0
               : static_cast<std::uint64_t>(static_cast<double>(latency_ticks) / static_cast<double>(timed_operations) *
                                            static_cast<double>(operations));
  }
};

struct Stats {
  std::array<OpStats, io_type_count> ops{};
  OpStats& operator[](IoType type) noexcept { return ops[static_cast<std::size_t>(type)]; }
  const OpStats& operator[](IoType type) const noexcept { return ops[static_cast<std::size_t>(type)]; }
  void add(const Stats& other) noexcept {
    for (std::size_t i = 0; i < ops.size(); ++i) ops[i].add(other.ops[i]);
  }
};

/// Latencies of timed requests in ticks, coarse enough to be kept by every channel.
struct Latencies {
  enum Kind : std::size_t { read, write, other };
  static constexpr std::size_t kinds = 3;
  static constexpr unsigned bucket_shift = 2;  ///< a bucket is at most a quarter of its lower bound wide
  static constexpr Kind kind_of(IoType type) noexcept {
    return type == IoType::read ? read : type == IoType::write ? write : other;
  }

  std::array<LatencyHistogram, kinds> histograms{LatencyHistogram{bucket_shift}, LatencyHistogram{bucket_shift},
                                                 LatencyHistogram{bucket_shift}};
  LatencyHistogram& operator[](IoType type) noexcept { return histograms[kind_of(type)]; }
  void add(const Latencies& more) {
    for (std::size_t i = 0; i < kinds; ++i) histograms[i].merge(more.histograms[i]);
  }
  void reset() noexcept {
    for (LatencyHistogram& histogram : histograms) histogram.reset();
  }
};

}  // namespace spdkio::bdev
