// Controller properties, which a PCIe controller has as registers and a Fabrics controller answers Property Get and
// Property Set for. NVMe Base Specification 2.x, "Controller Properties".
#pragma once

#include <compare>
#include <cstdint>

namespace spdkio::spec {

/// Offsets of the properties, bytes.
enum class Property : std::uint32_t {
  cap = 0x00,    ///< 8 bytes: Controller Capabilities
  vs = 0x08,     ///< 4: Version
  intms = 0x0C,  ///< 4: Interrupt Mask Set
  intmc = 0x10,  ///< 4: Interrupt Mask Clear
  cc = 0x14,     ///< 4: Controller Configuration
  csts = 0x1C,   ///< 4: Controller Status
  nssr = 0x20,   ///< 4: NVM Subsystem Reset
  aqa = 0x24,    ///< 4: Admin Queue Attributes
  asq = 0x28,    ///< 8: Admin Submission Queue Base Address
  acq = 0x30,    ///< 8: Admin Completion Queue Base Address
  cmbloc = 0x38,
  cmbsz = 0x3C,
  crto = 0x68,  ///< 4: Controller Ready Timeouts
};

/// CAP: what the controller can do.
struct Capabilities {
  std::uint64_t value = 0;

  /// Largest queue that may be created, entries (the field is 0's based).
  constexpr std::uint32_t max_queue_entries() const noexcept { return static_cast<std::uint32_t>(value & 0xFFFF) + 1; }
  constexpr bool contiguous_queues_required() const noexcept { return (value >> 16 & 1) != 0; }
  /// The longest time that enabling or disabling takes, milliseconds.
  constexpr std::uint32_t timeout_ms() const noexcept { return static_cast<std::uint32_t>(value >> 24 & 0xFF) * 500; }
  /// Distance between doorbells, bytes.
  constexpr std::uint32_t doorbell_stride() const noexcept { return 4u << (value >> 32 & 0xF); }
  constexpr bool subsystem_reset_supported() const noexcept { return (value >> 36 & 1) != 0; }
  constexpr bool nvm_command_set() const noexcept { return (value >> 37 & 1) != 0; }
  constexpr bool multiple_command_sets() const noexcept { return (value >> 43 & 1) != 0; }  ///< CSS bit 6
  constexpr bool no_io_command_set() const noexcept { return (value >> 44 & 1) != 0; }      ///< CSS bit 7
  /// Smallest and largest host memory page, bytes.
  constexpr std::uint64_t min_page_size() const noexcept { return std::uint64_t{4096} << (value >> 48 & 0xF); }
  constexpr std::uint64_t max_page_size() const noexcept { return std::uint64_t{4096} << (value >> 52 & 0xF); }
};

/// CC: how the host configures the controller.
struct Configuration {
  std::uint32_t value = 0;

  constexpr bool enabled() const noexcept { return (value & 1) != 0; }
  constexpr std::uint32_t command_set() const noexcept { return value >> 4 & 7; }
  constexpr std::uint64_t page_size() const noexcept { return std::uint64_t{4096} << (value >> 7 & 0xF); }
  constexpr std::uint32_t shutdown() const noexcept { return value >> 14 & 3; }  ///< 0: none, 1: normal, 2: abrupt
  constexpr std::uint32_t sq_entry_log2() const noexcept { return value >> 16 & 0xF; }
  constexpr std::uint32_t cq_entry_log2() const noexcept { return value >> 20 & 0xF; }

  /// Enabled, with 64-byte submission and 16-byte completion entries. `command_set`: 0 NVM alone, 6 all supported I/O
  /// command sets, 7 admin only. `page_log2` is at least 12.
  static constexpr Configuration enable(std::uint32_t command_set, std::uint32_t page_log2 = 12) noexcept {
    return {1u | command_set << 4 | (page_log2 - 12) << 7 | 6u << 16 | 4u << 20};
  }
  constexpr Configuration with_shutdown(std::uint32_t kind) const noexcept {
    return {(value & ~(3u << 14)) | kind << 14};
  }
  constexpr Configuration disabled() const noexcept { return {value & ~1u}; }
};

/// CSTS: how the controller is.
struct ControllerStatus {
  std::uint32_t value = 0;

  constexpr bool ready() const noexcept { return (value & 1) != 0; }
  constexpr bool fatal() const noexcept { return (value & 2) != 0; }
  /// 0: normal operation, 1: shutdown processing occurs, 2: shutdown is complete.
  constexpr std::uint32_t shutdown_status() const noexcept { return value >> 2 & 3; }
  /// All ones: the device does not answer on the bus any more.
  constexpr bool gone() const noexcept { return value == 0xFFFF'FFFF; }
};

/// VS: the version of the specification that the controller follows.
struct SpecVersion {
  std::uint32_t value = 0;
  constexpr std::uint32_t major_version() const noexcept { return value >> 16; }
  constexpr std::uint32_t minor_version() const noexcept { return value >> 8 & 0xFF; }
  constexpr std::uint32_t tertiary_version() const noexcept { return value & 0xFF; }
  constexpr auto operator<=>(const SpecVersion&) const noexcept = default;
};

}  // namespace spdkio::spec
