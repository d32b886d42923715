// The part of a copy that one Thread does: takes pieces from a shared counter until there are none.
#pragma once

#include "spdkio/copy/copy_run.hpp"
#include "spdkio/copy/zero_runs.hpp"

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/task.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

namespace spdkio::tool {

/// What all lanes of a copy share. The counters are for any OS thread; each piece's checksum is written by the lane
/// that took the piece and read after all lanes have ended.
struct CopyShared {
  const CopyPlan* plan = nullptr;
  const BdevDesc* source = nullptr;
  const BdevDesc* destination = nullptr;
  std::uint64_t total_bytes = 0;
  std::uint64_t num_pieces = 0;
  std::size_t grain = 4096;  ///< holes start and end on multiples of it
  std::vector<std::uint32_t> piece_crc;
  std::atomic<std::uint64_t> next_piece{0};
  std::atomic<std::uint64_t> bytes_done{0};
  std::atomic<std::uint64_t> data_bytes{0};
  std::atomic<std::uint64_t> hole_bytes{0};
  std::atomic<std::uint64_t> first_difference{UINT64_MAX};
  std::atomic<bool> stop{false};

  std::uint64_t piece_bytes(std::uint64_t piece) const;
};

/// Copies pieces; on the current Thread. The first failure ends it and, through `shared.stop`, the other lanes.
Task<> copy_lane(CopyShared& shared);
/// Reads the destination back and compares checksums.
Task<> verify_lane(CopyShared& shared);

}  // namespace spdkio::tool
