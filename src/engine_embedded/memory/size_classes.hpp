// The sizes of the blocks that slabs are cut into: four steps to each doubling, so that at most a fifth is wasted.
#pragma once

#include <bit>
#include <cstddef>
#include <optional>

namespace spdkio::embedded {

constexpr std::size_t smallest_block = 64;
constexpr std::size_t largest_block = std::size_t{1} << 20;
constexpr unsigned block_class_count = 52;

/// Bytes of a block of the class.
constexpr std::size_t block_size(unsigned block_class) noexcept {
  if (block_class < 4) return (block_class + 1) * smallest_block;
  const unsigned doubling = 8 + (block_class - 4) / 4;
  return (std::size_t{1} << doubling) + (std::size_t{(block_class - 4) % 4 + 1} << (doubling - 2));
}

/// Blocks of the class begin at multiples of this: the largest power of two in their size.
constexpr std::size_t block_alignment(unsigned block_class) noexcept {
  return std::size_t{1} << std::countr_zero(block_size(block_class));
}

/// The class of the smallest blocks that hold `size` bytes (not 0) at this alignment (a power of two); nothing when no
/// block does.
constexpr std::optional<unsigned> block_class_for(std::size_t size, std::size_t alignment) noexcept {
  if (size > largest_block || alignment > largest_block) return std::nullopt;
  if (alignment > smallest_block) size = (size + alignment - 1) & ~(alignment - 1);
  const std::size_t last = size - 1;
  unsigned block_class = static_cast<unsigned>(last / smallest_block);
  if (size > 4 * smallest_block) {
    const unsigned doubling = static_cast<unsigned>(std::bit_width(last)) - 1;
    block_class = 4 + (doubling - 8) * 4 + static_cast<unsigned>((last >> (doubling - 2)) & 3);
  }
  while (block_class < block_class_count && (block_size(block_class) & (alignment - 1)) != 0) ++block_class;
  if (block_class >= block_class_count) return std::nullopt;
  return block_class;
}

static_assert(block_size(0) == smallest_block && block_size(block_class_count - 1) == largest_block);

}  // namespace spdkio::embedded
