// What verified writes put into a block, and what a block that was read back turns out to be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace spdkio::tool {

/// Identifies the content of one block: which run wrote it, where, and for the how manieth time.
struct PatternId {
  std::uint64_t run = 0;
  std::uint64_t lba = 0;
  std::uint32_t generation = 0;
  bool operator==(const PatternId&) const = default;
};

/// The smallest block that holds a pattern.
constexpr std::size_t min_pattern_bytes = 64;

/// Fills a block (a multiple of 8 bytes, at least `min_pattern_bytes`) with a header, noise and a CRC-32C over all of
/// it.
void fill_pattern(std::span<std::byte> block, const PatternId& id);
/// True when the block is exactly what `fill_pattern` made of `id`.
bool matches_pattern(std::span<const std::byte> block, const PatternId& id);
/// For people: what a block that does not match holds instead: an earlier write, another place's data, a damaged block.
std::string explain_mismatch(std::span<const std::byte> block, const PatternId& expected);

}  // namespace spdkio::tool
