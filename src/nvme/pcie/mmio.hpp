// Access to registers of a device that are mapped into this process.
#pragma once

#include <spdkio/spec/registers.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace spdkio::nvme::pcie {

inline std::uint32_t read32(const std::byte* address) noexcept {
  const std::uint32_t value = *reinterpret_cast<const volatile std::uint32_t*>(address);
  return std::endian::native == std::endian::little ? value : std::byteswap(value);
}

inline void write32(std::byte* address, std::uint32_t value) noexcept {
  *reinterpret_cast<volatile std::uint32_t*>(address) =
      std::endian::native == std::endian::little ? value : std::byteswap(value);
}

/// In two halves: not every machine and device carries 8 bytes at once.
inline std::uint64_t read64(const std::byte* address) noexcept {
  const std::uint64_t low = read32(address);
  return static_cast<std::uint64_t>(read32(address + 4)) << 32 | low;
}

inline void write64(std::byte* address, std::uint64_t value) noexcept {
  write32(address, static_cast<std::uint32_t>(value));
  write32(address + 4, static_cast<std::uint32_t>(value >> 32));
}

/// Between writing memory that the device reads and the register write that tells it so.
inline void write_barrier() noexcept {
#if defined(__aarch64__)
  asm volatile("dmb oshst" ::: "memory");
#elif defined(__x86_64__)
  asm volatile("" ::: "memory");  // stores are seen in order
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Between finding that the device has written memory and reading the rest of it.
inline void read_barrier() noexcept {
#if defined(__aarch64__)
  asm volatile("dmb oshld" ::: "memory");
#elif defined(__x86_64__)
  asm volatile("" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

inline std::byte* register_at(std::span<std::byte> registers, spec::Property property) noexcept {
  return registers.data() + static_cast<std::uint32_t>(property);
}

}  // namespace spdkio::nvme::pcie
