
#include "spdkio/bench/verify_pattern.hpp"

#include "spdkio/bench/random.hpp"

#include <spdkio/base/crc32c.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace spdkio::tool {
namespace {

constexpr std::uint64_t magic = 0x7370646B696F7666;

struct Header {
  std::uint64_t magic;
  std::uint64_t run;
  std::uint64_t lba;
  std::uint32_t generation;
  std::uint32_t crc;  // of the block without this field
};
static_assert(sizeof(Header) == 32);

std::uint32_t block_crc(std::span<const std::byte> block) {
  const std::uint32_t head = crc32c(block.first(offsetof(Header, crc)));
  return crc32c(head, block.subspan(sizeof(Header)));
}

Header header_of(std::span<const std::byte> block) {
  Header header;
  std::memcpy(&header, block.data(), sizeof header);
  return header;
}

}  // namespace

void fill_pattern(std::span<std::byte> block, const PatternId& id) {
  Header header{.magic = magic, .run = id.run, .lba = id.lba, .generation = id.generation, .crc = 0};
  std::memcpy(block.data(), &header, sizeof header);
  Random noise{id.run ^ (id.lba << 20) ^ id.generation};
  for (std::size_t at = sizeof header; at + 8 <= block.size(); at += 8) {
    const std::uint64_t word = noise.next();
    std::memcpy(block.data() + at, &word, sizeof word);
  }
  header.crc = block_crc(block);
  std::memcpy(block.data(), &header, sizeof header);
}

bool matches_pattern(std::span<const std::byte> block, const PatternId& id) {
  const Header header = header_of(block);
  return header.magic == magic && header.run == id.run && header.lba == id.lba && header.generation == id.generation &&
         header.crc == block_crc(block);
}

std::string explain_mismatch(std::span<const std::byte> block, const PatternId& expected) {
  const Header header = header_of(block);
  const std::string wanted = fmt::format("block {} should hold write {}", expected.lba, expected.generation);
  if (header.magic != magic) {
    const bool zeroes = std::all_of(block.begin(), block.end(), [](std::byte byte) { return byte == std::byte{0}; });
    return fmt::format("{} but holds {}", wanted, zeroes ? "zeroes" : "something that was not written by this program");
  }
  if (header.crc != block_crc(block)) {
    return fmt::format("{} but is damaged: its checksum does not fit (its header says block {}, write {})", wanted,
                       header.lba, header.generation);
  }
  if (header.run != expected.run) return fmt::format("{} but holds data of an earlier run", wanted);
  if (header.lba != expected.lba) return fmt::format("{} but holds the data of block {}", wanted, header.lba);
  return fmt::format("{} but holds write {}: a write was lost", wanted, header.generation);
}

}  // namespace spdkio::tool
