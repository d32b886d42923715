#include <spdkio/base/clock.hpp>

#include "base/clock_scale.hpp"

#include <time.h>

#include <algorithm>
#include <optional>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace spdkio {
namespace {

constexpr std::uint64_t ns_per_second = 1'000'000'000;

#if !defined(__aarch64__)

std::uint64_t raw_clock_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ns_per_second + static_cast<std::uint64_t>(now.tv_nsec);
}

#endif

#if defined(__x86_64__)

struct Cpuid {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Cpuid cpuid(unsigned leaf) noexcept {
  Cpuid r;
  __cpuid_count(leaf, 0, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

bool has_invariant_tsc() noexcept {
  return cpuid(0x8000'0000).eax >= 0x8000'0007 && (cpuid(0x8000'0007).edx & 1u << 8) != 0;
}

// The frequency as the CPU or the hypervisor states it. Leaf 0x16 is left out: it is the marketing frequency.
std::optional<std::uint64_t> stated_tsc_hz() noexcept {
  const bool virtual_machine = (cpuid(1).ecx & 1u << 31) != 0;
  if (virtual_machine) {
    const unsigned last = cpuid(0x4000'0000).eax;
    if (last >= 0x4000'0010 && last < 0x4000'1000) {
      if (const std::uint64_t khz = cpuid(0x4000'0010).eax; khz != 0) return khz * 1000;
    }
    return std::nullopt;  // leaf 0x15 may be the host's while the counter is scaled
  }
  if (cpuid(0).eax >= 0x15) {
    const Cpuid crystal = cpuid(0x15);
    if (crystal.eax != 0 && crystal.ebx != 0 && crystal.ecx != 0) {
      return std::uint64_t{crystal.ecx} * crystal.ebx / crystal.eax;
    }
  }
  return std::nullopt;
}

struct Sample {
  std::uint64_t tsc;
  std::uint64_t ns;
};

// Reads both clocks as close together as they get: of several tries the one the least time passed in.
Sample sample_clocks() noexcept {
  Sample best{};
  std::uint64_t best_width = UINT64_MAX;
  for (int i = 0; i < 16; ++i) {
    const std::uint64_t before = __builtin_ia32_rdtsc();
    const std::uint64_t ns = raw_clock_ns();
    const std::uint64_t width = __builtin_ia32_rdtsc() - before;
    if (width < best_width) {
      best_width = width;
      best = {before + width / 2, ns};
    }
  }
  return best;
}

std::uint64_t measured_tsc_hz(std::uint64_t window_ns) noexcept {
  const Sample start = sample_clocks();
  while (raw_clock_ns() - start.ns < window_ns) __builtin_ia32_pause();
  const Sample end = sample_clocks();
  return std::max<std::uint64_t>(1, ClockScale::multiply_divide(end.tsc - start.tsc, ns_per_second, end.ns - start.ns));
}

std::uint64_t find_ticks_per_second() noexcept {
  if (!detail::ticks_are_tsc) return ns_per_second;
  if (const auto stated = stated_tsc_hz()) {
    // A virtual machine that moved to another host may be told the truth of the old one.
    const std::uint64_t seen = measured_tsc_hz(200'000);
    const std::uint64_t difference = std::max(seen, *stated) - std::min(seen, *stated);
    if (difference < *stated / 100) return *stated;
  }
  return measured_tsc_hz(4'000'000);
}

#elif defined(__aarch64__)

std::uint64_t find_ticks_per_second() noexcept {
  std::uint64_t hz;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(hz));
  return std::max<std::uint64_t>(1, hz);
}

#else

std::uint64_t find_ticks_per_second() noexcept { return ns_per_second; }

#endif

const ClockScale& scale() noexcept {
  static const ClockScale scale{find_ticks_per_second()};
  return scale;
}

}  // namespace

namespace detail {

constinit bool ticks_are_tsc = false;

#if defined(__x86_64__)
// Ahead of every initializer of C++, so that no two stamps come from different clocks.
[[gnu::constructor(101)]] static void decide_clock() noexcept { ticks_are_tsc = has_invariant_tsc(); }
#endif

std::uint64_t steady_clock_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ns_per_second + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace detail

void clock_init() noexcept { scale(); }

std::uint64_t ticks_per_second() noexcept { return scale().ticks_per_second(); }

std::chrono::nanoseconds ns_from_ticks(std::uint64_t ticks) noexcept { return scale().to_ns(ticks); }

std::uint64_t ticks_from(std::chrono::nanoseconds duration) noexcept { return scale().from_ns(duration); }

std::string_view clock_source() noexcept {
#if defined(__aarch64__)
  return "cntvct";
#else
  return detail::ticks_are_tsc ? "tsc" : "steady";
#endif
}

}  // namespace spdkio
