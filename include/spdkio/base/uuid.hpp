// Universally unique identifiers, RFC 9562.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace spdkio {

/// 16 bytes in the order in which they are written out. A plain value; the default one is the nil UUID.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// A new random UUID (version 4) from the kernel's generator. Throws Error with the errno if it has none to give.
  static Uuid random();
  /// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with digits of either case. Throws Error (Misuse::invalid_argument)
  /// naming the text and the position of the mistake.
  static Uuid parse(std::string_view text);

  constexpr bool is_nil() const { return *this == Uuid{}; }
  constexpr auto operator<=>(const Uuid&) const = default;
  /// In lower case.
  std::string to_string() const;
};

}  // namespace spdkio

template <>
struct std::hash<spdkio::Uuid> {
  std::size_t operator()(const spdkio::Uuid& uuid) const noexcept {
    std::uint64_t halves[2];
    std::memcpy(halves, uuid.bytes.data(), sizeof halves);
    // Not every UUID is random: the multiplication spreads what differs over all bits.
    const std::uint64_t mixed = (halves[0] ^ (halves[1] >> 32 | halves[1] << 32)) * 0x9E37'79B9'7F4A'7C15u;
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
  }
};
