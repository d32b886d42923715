// Units of block I/O as types, so that blocks and bytes can't be mixed up silently.
#pragma once

#include <compare>
#include <cstdint>

namespace spdkio {

/// A number of logical blocks. Never bytes: a device's `block_size` converts.
struct BlockCount {
  std::uint64_t value = 0;
  constexpr BlockCount() = default;
  constexpr explicit BlockCount(std::uint64_t blocks) : value(blocks) {}
  constexpr auto operator<=>(const BlockCount&) const = default;
  constexpr BlockCount& operator+=(BlockCount other) {
    value += other.value;
    return *this;
  }
  friend constexpr BlockCount operator+(BlockCount a, BlockCount b) { return BlockCount{a.value + b.value}; }
  friend constexpr BlockCount operator-(BlockCount a, BlockCount b) { return BlockCount{a.value - b.value}; }
};

/// A logical block address: the index of a block on a device, counted from 0.
struct Lba {
  std::uint64_t value = 0;
  constexpr Lba() = default;
  constexpr explicit Lba(std::uint64_t index) : value(index) {}
  constexpr auto operator<=>(const Lba&) const = default;
  constexpr Lba& operator+=(BlockCount blocks) {
    value += blocks.value;
    return *this;
  }
  friend constexpr Lba operator+(Lba lba, BlockCount blocks) { return Lba{lba.value + blocks.value}; }
  friend constexpr Lba operator-(Lba lba, BlockCount blocks) { return Lba{lba.value - blocks.value}; }
  friend constexpr BlockCount operator-(Lba a, Lba b) { return BlockCount{a.value - b.value}; }
};

/// An offset in bytes from the start of a device.
struct ByteOffset {
  std::uint64_t value = 0;
  constexpr ByteOffset() = default;
  constexpr explicit ByteOffset(std::uint64_t bytes) : value(bytes) {}
  constexpr auto operator<=>(const ByteOffset&) const = default;
};

/// A length in bytes.
struct ByteCount {
  std::uint64_t value = 0;
  constexpr ByteCount() = default;
  constexpr explicit ByteCount(std::uint64_t bytes) : value(bytes) {}
  constexpr auto operator<=>(const ByteCount&) const = default;
};

constexpr ByteOffset operator+(ByteOffset offset, ByteCount bytes) { return ByteOffset{offset.value + bytes.value}; }

/// A run of blocks: the first one and how many. Empty when `count` is zero.
struct LbaRange {
  Lba first;
  BlockCount count;
  constexpr auto operator<=>(const LbaRange&) const = default;
  /// One past the last block. The caller makes sure that the sum does not wrap; see `fits`.
  constexpr Lba end() const { return first + count; }
  /// True when the whole range lies on a device of `num_blocks` blocks; never wraps.
  constexpr bool fits(BlockCount num_blocks) const {
    return count.value <= num_blocks.value && first.value <= num_blocks.value - count.value;
  }
  constexpr bool overlaps(const LbaRange& other) const { return first < other.end() && other.first < end(); }
};

/// A run of bytes: where it starts and how long it is.
struct ByteRange {
  ByteOffset first;
  ByteCount count;
  constexpr auto operator<=>(const ByteRange&) const = default;
};

namespace literals {
constexpr ByteCount operator""_KiB(unsigned long long n) { return ByteCount{n << 10}; }
constexpr ByteCount operator""_MiB(unsigned long long n) { return ByteCount{n << 20}; }
constexpr ByteCount operator""_GiB(unsigned long long n) { return ByteCount{n << 30}; }
}  // namespace literals

}  // namespace spdkio
