// CRC-32C (Castagnoli): the checksum of NVMe/TCP digests, iSCSI and Blobstore metadata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace spdkio {

/// The CRC-32C of `data`, initial and final inversion included. Any alignment, any length, any thread.
std::uint32_t crc32c(std::span<const std::byte> data) noexcept;

/// Continues a checksum: `crc` is the CRC-32C of what came before, 0 if nothing did.
/// crc32c(crc32c(a), b) is the CRC-32C of a and b one after the other.
std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> data) noexcept;

/// How it is computed on this CPU, for people: "sse4.2" or "table". Static storage.
std::string_view crc32c_implementation() noexcept;

}  // namespace spdkio
