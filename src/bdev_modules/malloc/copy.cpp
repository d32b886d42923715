#include "bdev_modules/malloc/copy.hpp"

#include <cstdint>
#include <cstring>
#include <tuple>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace spdkio::bdev {
namespace {

constexpr std::size_t line = 64;
/// A shorter copy gains nothing from being cut up.
constexpr std::size_t parts_from = 64 * 1024;

void four_generic(const CopyJobs& jobs, std::size_t bytes) noexcept {
  for (const CopyJob& job : jobs) std::memcpy(job.to, job.from, bytes);
}

void copy_generic(std::byte* to, const std::byte* from, std::size_t bytes, const std::byte* next) noexcept {
  if (next != nullptr) {
    for (std::size_t at = 0; at < bytes; at += line) __builtin_prefetch(next + at);
  }
  std::memcpy(to, from, bytes);
}

#if defined(__x86_64__)

[[gnu::target("avx512f")]] void copy_avx512(std::byte* to, const std::byte* from, std::size_t bytes,
                                            const std::byte* next) noexcept {
  std::size_t at = 0;
  if (next != nullptr) {
    for (; at + 2 * line <= bytes; at += 2 * line) {
      _mm_prefetch(reinterpret_cast<const char*>(next + at), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(next + at + line), _MM_HINT_T0);
      const __m512i first = _mm512_loadu_si512(from + at);
      const __m512i second = _mm512_loadu_si512(from + at + line);
      _mm512_storeu_si512(to + at, first);
      _mm512_storeu_si512(to + at + line, second);
    }
  } else {
    for (; at + 2 * line <= bytes; at += 2 * line) {
      const __m512i first = _mm512_loadu_si512(from + at);
      const __m512i second = _mm512_loadu_si512(from + at + line);
      _mm512_storeu_si512(to + at, first);
      _mm512_storeu_si512(to + at + line, second);
    }
  }
  if (at < bytes) std::memcpy(to + at, from + at, bytes - at);
}

[[gnu::target("avx2")]] void copy_avx2(std::byte* to, const std::byte* from, std::size_t bytes,
                                       const std::byte* next) noexcept {
  std::size_t at = 0;
  for (; at + line <= bytes; at += line) {
    if (next != nullptr) _mm_prefetch(reinterpret_cast<const char*>(next + at), _MM_HINT_T0);
    const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at));
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at + line / 2));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at), first);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at + line / 2), second);
  }
  if (at < bytes) std::memcpy(to + at, from + at, bytes - at);
}

[[gnu::target("avx2")]] void four_avx2(const CopyJobs& jobs, std::size_t bytes) noexcept {
  const CopyJobs fixed = jobs;  // the compiler can't know that no copy goes over them
  std::size_t at = 0;
  for (; at + line <= bytes; at += line) {
    for (const CopyJob& job : fixed) {
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(job.from + at));
      const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(job.from + at + line / 2));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.to + at), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.to + at + line / 2), second);
    }
  }
  if (at == bytes) return;
  for (const CopyJob& job : fixed) std::memcpy(job.to + at, job.from + at, bytes - at);
}

[[gnu::target("avx2")]] void stream_avx2(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  std::size_t at = 0;
  if (reinterpret_cast<std::uintptr_t>(to) % line == 0) {
    for (; at + line <= bytes; at += line) {
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at));
      const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at + line / 2));
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at), first);
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at + line / 2), second);
    }
  }
  if (at < bytes) std::memcpy(to + at, from + at, bytes - at);
}

#endif

using Copy = void (*)(std::byte*, const std::byte*, std::size_t, const std::byte*) noexcept;

Copy choose() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return copy_avx512;
  if (__builtin_cpu_supports("avx2")) return copy_avx2;
#endif
  return copy_generic;
}

const Copy chosen = choose();

using Four = void (*)(const CopyJobs&, std::size_t) noexcept;

Four choose_four() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return four_avx2;
#endif
  return four_generic;
}

const Four chosen_four = choose_four();

using Stream = void (*)(std::byte*, const std::byte*, std::size_t) noexcept;

Stream choose_stream() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return stream_avx2;
#endif
  return [](std::byte* to, const std::byte* from, std::size_t bytes) noexcept { std::memcpy(to, from, bytes); };
}

const Stream chosen_stream = choose_stream();

}  // namespace

void copy_side_by_side(const CopyJobs& jobs, std::size_t bytes) noexcept { chosen_four(jobs, bytes); }

void copy_and_prefetch(std::byte* to, const std::byte* from, std::size_t bytes, const std::byte* next) noexcept {
  if (next == nullptr && bytes >= parts_from) {
    const std::size_t part = bytes / std::tuple_size_v<CopyJobs> / line * line;
    CopyJobs jobs{};
    for (CopyJob& job : jobs) {
      job = {to, from};
      to += part;
      from += part;
    }
    copy_side_by_side(jobs, part);
    bytes -= part * jobs.size();
  }
  chosen(to, from, bytes, next);
}

void prefetch_start(const std::byte* at) noexcept {
  constexpr int into_second_level = 2;
  for (std::size_t offset = 0; offset < 4 * line; offset += line) __builtin_prefetch(at + offset, 0, into_second_level);
}

void copy_around_cache(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  chosen_stream(to, from, bytes);
}

void finish_copies_around_cache() noexcept {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace spdkio::bdev
