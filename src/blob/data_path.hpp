// DataPath: reads and writes of one blob through one channel. What the operations of Blob are made of.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/blob/blob_channel.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>

#include "blob/store.hpp"

namespace spdkio::blob {

/// A value, made anew for each operation, on the channel's Thread. Its tasks allocate nothing but their frames, unless
/// a cluster has to be allocated.
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
  /// Clusters from the one that holds `at` on that lie in a row on the device, or are all holes.
  struct Run {
    std::uint32_t cluster;  ///< 0: a hole
    std::uint32_t count;
    std::uint64_t offset;  ///< of `at` in the first cluster
    std::uint64_t bytes;   ///< from `at` on
  };
  template <class Find>
  Run run_at(std::uint64_t at, Find&& find) const noexcept;
  Run own_run(std::uint64_t at) const noexcept;
  Run visible_run(std::uint64_t at) const noexcept;
  std::uint64_t device_offset(const Run& run) const noexcept {
    return store_.layout().cluster_offset(run.cluster) + run.offset;
  }
  Task<> wait_for_thaw() const;

  Store& store_;
  BlobNode& node_;
  ChannelState& channel_;
  std::uint64_t offset_;
  std::uint64_t end_;
};

}  // namespace spdkio::blob
