#include <spdkio/base/crc32c.hpp>

#include "base/crc32c_kernels.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace spdkio {
namespace {

constexpr std::uint32_t polynomial = 0x82F6'3B78;  // 1EDC6F41h, lowest bit first

// tables[k][b]: what byte b does to the register when k more bytes follow it.
constexpr auto tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t state = b;
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ ((state & 1) != 0 ? polynomial : 0);
    t[0][b] = state;
  }
  for (std::size_t k = 1; k < t.size(); ++k) {
    for (std::size_t b = 0; b < 256; ++b) t[k][b] = t[k - 1][b] >> 8 ^ t[0][t[k - 1][b] & 0xFF];
  }
  return t;
}();

std::uint64_t load_little_endian(const std::byte* data) noexcept {
  std::uint64_t value;
  std::memcpy(&value, data, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

Crc32cKernel kernel() noexcept {
  static const Crc32cKernel kernel = [] {
    const Crc32cKernel fast = crc32c_sse42_kernel();
    return fast != nullptr ? fast : crc32c_table;
  }();
  return kernel;
}

}  // namespace

std::uint32_t crc32c_table(std::uint32_t state, const std::byte* data, std::size_t size) noexcept {
  for (; size >= 8; size -= 8, data += 8) {
    const std::uint64_t word = load_little_endian(data) ^ state;
    state = 0;
    for (std::size_t i = 0; i < 8; ++i) state ^= tables[7 - i][word >> 8 * i & 0xFF];
  }
  for (; size > 0; --size, ++data)
    state = state >> 8 ^ tables[0][(state ^ std::to_integer<std::uint32_t>(*data)) & 0xFF];
  return state;
}

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> data) noexcept {
  return ~kernel()(~crc, data.data(), data.size());
}

std::uint32_t crc32c(std::span<const std::byte> data) noexcept { return crc32c(0, data); }

std::string_view crc32c_implementation() noexcept { return kernel() == crc32c_table ? "table" : "sse4.2"; }

}  // namespace spdkio
