// The checksum of a whole from those of its parts, which may have been computed in any order.
#pragma once

#include <array>
#include <cstdint>

namespace spdkio::tool {

/// Joins CRC-32Cs: with `first` of some bytes and `second` of `length` bytes that follow them,
/// `Crc32cJoin{length}(first, second)` is the CRC-32C of both. Making one takes a microsecond, using it some
/// nanoseconds.
class Crc32cJoin {
 public:
  explicit Crc32cJoin(std::uint64_t length);
  std::uint32_t operator()(std::uint32_t first, std::uint32_t second) const;

 private:
  std::array<std::uint32_t, 32> shift_;  // what appending `length` zero bytes does to each bit of a checksum
};

}  // namespace spdkio::tool
