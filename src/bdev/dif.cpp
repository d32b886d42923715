#include "bdev/dif.hpp"

#include <array>
#include <cstring>

namespace spdkio::bdev {
namespace {

constexpr auto crc_table = [] {
  std::array<std::uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x8BB7 : crc << 1;
    table[i] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

constexpr std::byte escape{0xFF};

std::size_t tuple_offset(bool at_start, std::size_t metadata_bytes) {
  return at_start ? 0 : metadata_bytes - dif_tuple_bytes;
}

/// The guard covers the data, and the metadata in front of the tuple.
std::uint16_t guard_of(bool at_start, std::span<const std::byte> data, std::span<const std::byte> metadata) {
  return crc16_t10(crc16_t10(0, data), metadata.first(tuple_offset(at_start, metadata.size())));
}

unsigned get(std::span<const std::byte> tuple, std::size_t at) { return std::to_integer<unsigned>(tuple[at]); }

}  // namespace

std::uint16_t crc16_t10(std::uint16_t crc, std::span<const std::byte> data) noexcept {
  for (const std::byte byte : data) {
    crc = static_cast<std::uint16_t>(crc << 8 ^ crc_table[(crc >> 8 ^ std::to_integer<unsigned>(byte)) & 0xFF]);
  }
  return crc;
}

void generate_dif(DifType type, bool at_start, std::span<const std::byte> data, std::span<std::byte> metadata,
                  std::uint64_t lba) noexcept {
  const std::uint16_t guard = guard_of(at_start, data, metadata);
  const std::uint32_t reference = type == DifType::type3 ? 0 : static_cast<std::uint32_t>(lba);
  const auto tuple = metadata.subspan(tuple_offset(at_start, metadata.size()), dif_tuple_bytes);
  tuple[0] = static_cast<std::byte>(guard >> 8);
  tuple[1] = static_cast<std::byte>(guard);
  tuple[2] = tuple[3] = std::byte{0};
  for (int i = 0; i < 4; ++i) tuple[4 + i] = static_cast<std::byte>(reference >> (24 - 8 * i));
}

void escape_dif(bool at_start, std::span<std::byte> metadata) noexcept {
  std::memset(metadata.data() + tuple_offset(at_start, metadata.size()), std::to_integer<int>(escape), dif_tuple_bytes);
}

NvmeStatus verify_dif(DifType type, bool at_start, std::span<const std::byte> data, std::span<const std::byte> metadata,
                      std::uint64_t lba) noexcept {
  const auto tuple = metadata.subspan(tuple_offset(at_start, metadata.size()), dif_tuple_bytes);
  const unsigned application = get(tuple, 2) << 8 | get(tuple, 3);
  const std::uint32_t reference = get(tuple, 4) << 24 | get(tuple, 5) << 16 | get(tuple, 6) << 8 | get(tuple, 7);
  if (application == 0xFFFF && (type != DifType::type3 || reference == 0xFFFFFFFF)) return nvme_sc::success;
  if (guard_of(at_start, data, metadata) != (get(tuple, 0) << 8 | get(tuple, 1))) return nvme_sc::guard_check_error;
  if (type != DifType::type3 && reference != static_cast<std::uint32_t>(lba)) {
    return nvme_sc::reference_tag_check_error;
  }
  return nvme_sc::success;
}

}  // namespace spdkio::bdev
