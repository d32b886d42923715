// Conversion between ticks of a known frequency and nanoseconds, without divisions at run time and without overflow.
#pragma once

#include <bit>
#include <chrono>
#include <cstdint>

namespace spdkio {

class ClockScale {
 public:
  /// `ticks_per_second` is not 0.
  constexpr explicit ClockScale(std::uint64_t ticks_per_second)
      : ticks_per_second_(ticks_per_second),
        ns_per_tick_(ratio(ns_per_second, ticks_per_second)),
        ticks_per_ns_(ratio(ticks_per_second, ns_per_second)) {}

  constexpr std::uint64_t ticks_per_second() const { return ticks_per_second_; }

  constexpr std::chrono::nanoseconds to_ns(std::uint64_t ticks) const {
    const Wide ns = Wide{ticks} * ns_per_tick_.factor >> ns_per_tick_.shift;
    return std::chrono::nanoseconds{ns > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(ns)};
  }

  constexpr std::uint64_t from_ns(std::chrono::nanoseconds duration) const {
    if (duration.count() <= 0) return 0;
    const Wide product = Wide{static_cast<std::uint64_t>(duration.count())} * ticks_per_ns_.factor;
    // The factor is rounded up by less than one part in 2^63: only what is beyond that error is a further tick.
    Wide ticks = product >> ticks_per_ns_.shift;
    const Wide rest = product - (ticks << ticks_per_ns_.shift);
    if (rest > static_cast<std::uint64_t>(duration.count())) ++ticks;
    return ticks > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(ticks);
  }

  /// a * b / c rounded down; the largest value if the result does not fit.
  static constexpr std::uint64_t multiply_divide(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    const Wide value = Wide{a} * b / c;
    return value > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(value);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr std::uint64_t ns_per_second = 1'000'000'000;

  /// factor / 2^shift, rounded up, with as many bits as fit.
  struct Ratio {
    std::uint64_t factor;
    unsigned shift;
  };

  static constexpr Ratio ratio(std::uint64_t numerator, std::uint64_t denominator) {
    // numerator / denominator < 2^whole_bits
    const unsigned whole_bits = static_cast<unsigned>(std::bit_width(numerator / denominator));
    const unsigned shift = 63 - whole_bits;
    return {static_cast<std::uint64_t>(((Wide{numerator} << shift) + denominator - 1) / denominator), shift};
  }

  std::uint64_t ticks_per_second_;
  Ratio ns_per_tick_;
  Ratio ticks_per_ns_;
};

}  // namespace spdkio
