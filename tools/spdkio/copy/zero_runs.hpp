// Where a buffer holds nothing but zeroes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace spdkio::tool {

struct ByteRun {
  std::size_t offset = 0;
  std::size_t length = 0;
  bool zero = false;
  bool operator==(const ByteRun&) const = default;
};

bool all_zero(std::span<const std::byte> data);

/// Cuts a buffer into runs of data and of zeroes, on multiples of `grain`. Runs of zeroes shorter than `least_zero`
/// count as data. The buffer's length need not be a multiple.
void find_runs(std::span<const std::byte> data, std::size_t grain, std::size_t least_zero, std::vector<ByteRun>& runs);

}  // namespace spdkio::tool
