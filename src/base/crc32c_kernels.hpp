// The ways to compute CRC-32C. Each takes and gives the register, without the inversions at both ends.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spdkio {

using Crc32cKernel = std::uint32_t (*)(std::uint32_t state, const std::byte* data, std::size_t size) noexcept;

/// Eight bytes at a time from tables; runs anywhere.
std::uint32_t crc32c_table(std::uint32_t state, const std::byte* data, std::size_t size) noexcept;

/// The crc32 instruction on three streams at a time, or null where the CPU lacks SSE4.2 or PCLMULQDQ.
Crc32cKernel crc32c_sse42_kernel() noexcept;

}  // namespace spdkio
