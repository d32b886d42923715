
#include "spdkio/copy/zero_runs.hpp"

#include <algorithm>
#include <cstring>

namespace spdkio::tool {

bool all_zero(std::span<const std::byte> data) {
  if (data.empty()) return true;
  // Equal to itself one byte on: every byte is the first one.
  return data[0] == std::byte{0} && std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0;
}

void find_runs(std::span<const std::byte> data, std::size_t grain, std::size_t least_zero, std::vector<ByteRun>& runs) {
  runs.clear();
  for (std::size_t at = 0; at < data.size(); at += grain) {
    const std::size_t length = std::min(grain, data.size() - at);
    const bool zero = all_zero(data.subspan(at, length));
    if (!runs.empty() && runs.back().zero == zero) {
      runs.back().length += length;
    } else {
      runs.push_back({at, length, zero});
    }
  }
  std::size_t kept = 0;
  for (const ByteRun& run : runs) {
    const bool zero = run.zero && run.length >= least_zero;
    if (kept != 0 && runs[kept - 1].zero == zero) {
      runs[kept - 1].length += run.length;
    } else {
      runs[kept++] = {run.offset, run.length, zero};
    }
  }
  runs.resize(kept);
}

}  // namespace spdkio::tool
