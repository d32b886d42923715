// DataPath: reads and writes of one blob through one channel. What the operations of Blob are made of.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/blob/blob_channel.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <optional>

#include "blob/span_cursor.hpp"
#include "blob/store.hpp"

namespace spdkio::blob {

/// A value, made anew for each operation, on the channel's Thread. What lies in several places is cut into segments,
/// several of which are worked on at once. Its tasks allocate nothing but their frames, unless a cluster has to be
/// allocated.
class DataPath {
 public:
  /// Throws what Blob says about ranges.
  DataPath(Store& store, BlobNode& node, const BlobChannel& channel, std::uint64_t offset, std::uint64_t bytes,
           bool writes);
  Task<> read(DmaSpans into) const;
  Task<> write(DmaSpans data) const;
  Task<> write_zeroes() const;
  Task<> unmap() const;

 private:
  /// Clusters from the one that holds `at` on that lie in a row on the device, or are all found at the same place of an
  /// external snapshot, or are all holes.
  struct Run {
    Store::Source source;
    std::uint32_t count;
    std::uint64_t offset;  ///< of `at` in the first cluster
    std::uint64_t bytes;   ///< from `at` on
  };
  /// A part that is worked on by itself; its end is where a run ends, or where it is long enough.
  struct Segment {
    std::uint64_t at;
    std::uint64_t bytes;
    SpanCursor cursor;  ///< at its first byte
  };
  /// Hands them out one after the other.
  struct Segments {
    const DataPath& path;
    SpanCursor cursor;
    bool writes;
    std::uint64_t at;
  };
  template <class Find>
  Run run_at(std::uint64_t at, Find&& find) const noexcept;
  Run own_run(std::uint64_t at) const noexcept;
  Run visible_run(std::uint64_t at) const noexcept;
  std::uint64_t device_offset(const Run& run) const noexcept {
    return store_.layout().cluster_offset(run.source.cluster) + run.offset;
  }
  Task<> wait_for_thaw() const;
  std::uint64_t segment_bytes(std::uint64_t at, bool writes) const noexcept;
  std::optional<Segment> next(Segments& segments) const;
  Task<> transfer(DmaSpans data, bool writes) const;
  Task<> work(Segments& segments) const;
  Task<> read_segment(Segment& segment) const;
  Task<> write_segment(Segment& segment) const;

  Store& store_;
  BlobNode& node_;
  ChannelState& channel_;
  std::uint64_t offset_;
  std::uint64_t end_;
};

}  // namespace spdkio::blob
