// Time stamps for the I/O path: ticks of the cheapest steady counter this machine has, and their length.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace spdkio {

namespace detail {
// Decided once, before the first constructor of the program; never changes afterwards.
extern bool ticks_are_tsc;
std::uint64_t steady_clock_ns() noexcept;
}  // namespace detail

/// The present moment in ticks, counted from an unspecified start that is the same for all threads of this machine.
/// Never goes back on one thread. Any thread, no system call where the CPU has an invariant time stamp counter (x86-64)
/// or a generic timer (AArch64); elsewhere ticks are the nanoseconds of the steady clock.
/// Not a serialising instruction: the CPU may take the stamp a few instructions early or late.
inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  if (detail::ticks_are_tsc) [[likely]] {
    return __builtin_ia32_rdtsc();
  }
  return detail::steady_clock_ns();
#elif defined(__aarch64__)
  std::uint64_t value;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  return detail::steady_clock_ns();
#endif
}

/// Measures the length of a tick now instead of at the first conversion: at most some milliseconds where the CPU
/// doesn't tell it, microseconds where it does. Idempotent, any thread.
void clock_init() noexcept;

/// How many ticks a second has, at least 1. The first call of this or of a conversion does what `clock_init` does.
std::uint64_t ticks_per_second() noexcept;

/// A difference of two tick stamps as a duration, rounded down; the largest duration when it is longer than that.
std::chrono::nanoseconds ns_from_ticks(std::uint64_t ticks) noexcept;

/// The number of ticks that are at least `duration` long: 0 for negative durations, the largest number when there is no
/// larger one. Adding it to a stamp may wrap; use `ticks_after` for deadlines.
std::uint64_t ticks_from(std::chrono::nanoseconds duration) noexcept;

/// `start` plus `duration`; the largest stamp, which never comes, instead of one beyond it.
inline std::uint64_t ticks_after(std::uint64_t start, std::chrono::nanoseconds duration) noexcept {
  const std::uint64_t sum = start + ticks_from(duration);
  return sum < start ? UINT64_MAX : sum;
}

/// What `ticks` reads, for people: "tsc", "cntvct" or "steady". Static storage.
std::string_view clock_source() noexcept;

}  // namespace spdkio
