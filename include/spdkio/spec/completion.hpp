// The completion queue entry. NVMe Base Specification 2.x, "Completion Queue Entry".
#pragma once

#include <spdkio/base/nvme_status.hpp>
#include <spdkio/spec/endian.hpp>

#include <cstdint>
#include <type_traits>

namespace spdkio::spec {

/// A completion queue entry, 16 bytes.
struct Completion {
  Le32 dw0;   ///< command specific
  Le32 dw1;   ///< command specific
  Le16 sqhd;  ///< submission queue head pointer
  Le16 sqid;  ///< submission queue; reserved in Fabrics
  Le16 cid;
  Le16 status_field;  ///< bit 0: phase tag, bits 15:1: status

  constexpr bool phase() const noexcept { return (status_field.value() & 1) != 0; }
  constexpr NvmeStatus status() const noexcept {
    const unsigned field = status_field.value();
    return {.sct = static_cast<std::uint8_t>(field >> 9 & 7),
            .sc = static_cast<std::uint8_t>(field >> 1 & 0xFF),
            .dnr = (field >> 15 & 1) != 0,
            .more = (field >> 14 & 1) != 0,
            .crd = static_cast<std::uint8_t>(field >> 12 & 3)};
  }
  /// Keeps the phase tag.
  constexpr void set_status(const NvmeStatus& status) noexcept {
    status_field = static_cast<std::uint16_t>((status_field.value() & 1u) | static_cast<unsigned>(status.sc) << 1 |
                                              (status.sct & 7u) << 9 | (status.crd & 3u) << 12 |
                                              (status.more ? 1u << 14 : 0) | (status.dnr ? 1u << 15 : 0));
  }
  /// True when the status is success, whatever the phase tag.
  constexpr bool ok() const noexcept { return (status_field.value() & 0x0FFE) == 0; }
  /// The 64 bits of DW0 and DW1.
  constexpr std::uint64_t dw0_1() const noexcept { return static_cast<std::uint64_t>(dw1.value()) << 32 | dw0.value(); }
  constexpr bool operator==(const Completion&) const noexcept = default;
};
static_assert(sizeof(Completion) == 16 && alignof(Completion) == 1);
static_assert(std::is_trivially_copyable_v<Completion>);

}  // namespace spdkio::spec
