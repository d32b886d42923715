// Random numbers for offsets: a nanosecond each, good enough that no device sees a pattern.
#pragma once

#include <cstdint>

namespace spdkio::tool {

/// A Weyl sequence whose terms are multiplied to 128 bits and folded. Not for secrets.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {
    next();
    next();
  }

  constexpr std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15;
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{state_} * (state_ ^ 0xD1B54A32D192ED03);
    return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
  }

  /// Maps a draw to 0 .. count-1 by its high bits, which leaves the low ones for something else.
  static constexpr std::uint64_t below(std::uint64_t draw, std::uint64_t count) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((Wide{draw} * count) >> 64);
  }

 private:
  std::uint64_t state_;
};

}  // namespace spdkio::tool
