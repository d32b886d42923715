// Protection information: the 8-byte tuple with a 16-bit guard, NVM Command Set Specification, "16b Guard Protection
// Information".
#pragma once

#include <spdkio/base/nvme_status.hpp>
#include <spdkio/bdev/device.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace spdkio::bdev {

constexpr std::size_t dif_tuple_bytes = 8;

/// CRC-16/T10-DIF: polynomial 0x8BB7, no reflection.
std::uint16_t crc16_t10(std::uint16_t crc, std::span<const std::byte> data) noexcept;

/// Writes the tuple for one block: its guard, an application tag of 0, and the low 32 bits of the LBA as reference tag
/// (type 3: 0).
void generate_dif(DifType type, bool at_start, std::span<const std::byte> data, std::span<std::byte> metadata,
                  std::uint64_t lba) noexcept;
/// Writes the tuple that is not checked: the specification's mark for blocks that hold no data.
void escape_dif(bool at_start, std::span<std::byte> metadata) noexcept;
/// Success, Guard Check Error or Reference Tag Check Error.
NvmeStatus verify_dif(DifType type, bool at_start, std::span<const std::byte> data, std::span<const std::byte> metadata,
                      std::uint64_t lba) noexcept;

}  // namespace spdkio::bdev
