#include "base/crc32c_kernels.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

namespace spdkio {
namespace {

// The crc32 instruction answers after three cycles and can start every cycle: three streams keep it busy. Their results
// are joined by a carry-less multiplication, which moves a register past the bytes of the streams behind it.

constexpr std::uint32_t polynomial = 0x82F6'3B78;

// a * b modulo the polynomial, lowest bit first: bit 31 stands for x^0.
consteval std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (int i = 31; i >= 0; --i) {
    if ((b >> i & 1) != 0) product ^= a;
    a = a >> 1 ^ ((a & 1) != 0 ? polynomial : 0);
  }
  return product;
}

consteval std::uint32_t power_of_x(std::size_t exponent) {
  std::uint32_t value = 0x8000'0000;
  for (std::uint32_t square = 0x4000'0000; exponent != 0; exponent >>= 1, square = multiply(square, square)) {
    if ((exponent & 1) != 0) value = multiply(value, square);
  }
  return value;
}

// The factor that moves a register past `bytes` bytes. The reflected product is short of one power of x, and the crc32
// instruction that reduces it adds 32.
consteval std::uint32_t skip_factor(std::size_t bytes) { return power_of_x(8 * bytes - 33); }

[[gnu::target("sse4.2,pclmul")]] std::uint64_t skip(std::uint64_t state, std::uint32_t factor) noexcept {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(state)),
                                               _mm_cvtsi64_si128(static_cast<long long>(std::uint64_t{factor})), 0);
  return _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)));
}

std::uint64_t load(const std::byte* data) noexcept {
  std::uint64_t value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

template <std::size_t stream>
[[gnu::target("sse4.2,pclmul")]] std::uint64_t three_streams(std::uint64_t state, const std::byte*& data,
                                                             std::size_t& size) noexcept {
  for (; size >= 3 * stream; size -= 3 * stream, data += 3 * stream) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < stream; i += 8) {
      state = _mm_crc32_u64(state, load(data + i));
      second = _mm_crc32_u64(second, load(data + stream + i));
      third = _mm_crc32_u64(third, load(data + 2 * stream + i));
    }
    state = skip(state, skip_factor(2 * stream)) ^ skip(second, skip_factor(stream)) ^ third;
  }
  return state;
}

[[gnu::target("sse4.2,pclmul")]] std::uint32_t crc32c_sse42(std::uint32_t start, const std::byte* data,
                                                            std::size_t size) noexcept {
  std::uint64_t state = start;
  state = three_streams<8160>(state, data, size);  // long enough for the prefetchers to follow
  state = three_streams<1360>(state, data, size);  // 4080 bytes: a 4 KiB block but its last 16 bytes
  state = three_streams<168>(state, data, size);   // 504 bytes: a 512-byte block but its last 8 bytes
  for (; size >= 8; size -= 8, data += 8) state = _mm_crc32_u64(state, load(data));
  auto narrow = static_cast<std::uint32_t>(state);
  for (; size > 0; --size, ++data) narrow = _mm_crc32_u8(narrow, std::to_integer<unsigned char>(*data));
  return narrow;
}

}  // namespace

Crc32cKernel crc32c_sse42_kernel() noexcept {
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") ? crc32c_sse42 : nullptr;
}

}  // namespace spdkio

#else

namespace spdkio {

Crc32cKernel crc32c_sse42_kernel() noexcept { return nullptr; }

}  // namespace spdkio

#endif
