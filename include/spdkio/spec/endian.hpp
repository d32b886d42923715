// Integers with their byte order in the type: what the fields of structures on the wire and in device memory are.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace spdkio::spec {

/// An unsigned integer stored in `Order`, without any alignment of its own. Reads and assigns as a T. A default one
/// is 0. Trivially copyable: a structure of these may be copied from and to memory that a device reads.
template <std::unsigned_integral T, std::endian Order>
class Ordered {
 public:
  constexpr Ordered() noexcept = default;
  constexpr Ordered(T value) noexcept : bytes_(std::bit_cast<Bytes>(in_order(value))) {}
  constexpr operator T() const noexcept { return value(); }
  constexpr T value() const noexcept { return in_order(std::bit_cast<T>(bytes_)); }

 private:
  using Bytes = std::array<std::uint8_t, sizeof(T)>;
  static constexpr T in_order(T value) noexcept {
    if constexpr (Order == std::endian::native) {
      return value;
    } else {
      return std::byteswap(value);
    }
  }
  Bytes bytes_{};
};

using Le16 = Ordered<std::uint16_t, std::endian::little>;
using Le32 = Ordered<std::uint32_t, std::endian::little>;
using Le64 = Ordered<std::uint64_t, std::endian::little>;
using Be16 = Ordered<std::uint16_t, std::endian::big>;
using Be32 = Ordered<std::uint32_t, std::endian::big>;
using Be64 = Ordered<std::uint64_t, std::endian::big>;

static_assert(sizeof(Le16) == 2 && alignof(Le16) == 1);
static_assert(sizeof(Le32) == 4 && alignof(Le32) == 1);
static_assert(sizeof(Le64) == 8 && alignof(Le64) == 1);

/// A 128-bit counter, as the health log has them.
struct Le128 {
  Le64 low;
  Le64 high;
  constexpr bool operator==(const Le128&) const noexcept = default;
  /// The nearest double, for people; exact up to 2^53.
  constexpr double to_double() const noexcept {
    return static_cast<double>(low.value()) + static_cast<double>(high.value()) * 18446744073709551616.0;
  }
};
static_assert(sizeof(Le128) == 16);

/// Bytes that a structure reserves, always zero when this library writes it.
template <std::size_t Count>
using Reserved = std::array<std::uint8_t, Count>;

}  // namespace spdkio::spec
