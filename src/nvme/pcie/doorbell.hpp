// Doorbell: tells the controller how far a queue was filled or emptied.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "nvme/pcie/mmio.hpp"

namespace spdkio::nvme::pcie {

/// A register, and where the controller offers it (Doorbell Buffer Config) a shadow of it in memory: then the register
/// is written only when the controller asks for that by an index that it expects.
class Doorbell {
 public:
  Doorbell() noexcept = default;
  /// `shadow` and `event_index` are two halves of a pair, or both null.
  explicit Doorbell(std::byte* doorbell, std::byte* shadow = nullptr, const std::byte* event_index = nullptr) noexcept
      : register_(doorbell), shadow_(shadow), event_index_(event_index) {}

  /// What was written to memory before is seen by the controller before `value` is. True: the register was written.
  bool ring(std::uint16_t value) noexcept {
    write_barrier();
    if (shadow_ != nullptr) {
      const auto old = static_cast<std::uint16_t>(read32(shadow_));
      write32(shadow_, value);
      // The controller writes its index and then looks at the shadow; we do it the other way round. One of us sees.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (!passed(static_cast<std::uint16_t>(read32(event_index_)), value, old)) return false;
    }
    write32(register_, value);
    return true;
  }

 private:
  /// Whether going on from `old` to `value` passes the index that the controller wants to be told about, in numbers
  /// that wrap at 2^16 (NVMe Base Specification, "Doorbell Buffer Config": Updating Controller Doorbell Properties).
  static bool passed(std::uint16_t event, std::uint16_t value, std::uint16_t old) noexcept {
    return static_cast<std::uint16_t>(value - event - 1) < static_cast<std::uint16_t>(value - old);
  }

  std::byte* register_ = nullptr;
  std::byte* shadow_ = nullptr;
  const std::byte* event_index_ = nullptr;
};

}  // namespace spdkio::nvme::pcie
