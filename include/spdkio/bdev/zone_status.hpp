// The NVMe status codes with which zoned devices refuse requests.
#pragma once

#include <spdkio/base/nvme_status.hpp>

/// NVMe Zoned Namespace Command Set Specification, "Command Specific Status Values". An error of a zoned device has one
/// of them in `Error::nvme_status()`.
namespace spdkio::nvme_sc {

inline constexpr NvmeStatus zone_boundary_error{.sct = 1, .sc = 0xB8};
inline constexpr NvmeStatus zone_is_full{.sct = 1, .sc = 0xB9};
inline constexpr NvmeStatus zone_is_read_only{.sct = 1, .sc = 0xBA};
inline constexpr NvmeStatus zone_is_offline{.sct = 1, .sc = 0xBB};
inline constexpr NvmeStatus zone_invalid_write{.sct = 1, .sc = 0xBC};
inline constexpr NvmeStatus too_many_active_zones{.sct = 1, .sc = 0xBD};
inline constexpr NvmeStatus too_many_open_zones{.sct = 1, .sc = 0xBE};
inline constexpr NvmeStatus invalid_zone_state_transition{.sct = 1, .sc = 0xBF};

}  // namespace spdkio::nvme_sc
