// The status field of an NVMe completion, as a value, with the specification's text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace spdkio {

/// Status Code Type, NVMe Base Specification 2.x, "Status Code Type (SCT)".
enum class NvmeSct : std::uint8_t {
  generic = 0,
  command_specific = 1,
  media = 2,
  path = 3,
  vendor = 7,
};

/// What an NVMe completion says about its command: SCT, SC and the retry hints (Base Specification, "Status Field").
/// Block devices that are not NVMe use it too, where an NVMe code says more than an errno (a compare that failed).
struct NvmeStatus {
  std::uint8_t sct = 0;  ///< status code type
  std::uint8_t sc = 0;   ///< status code, its meaning depends on `sct`
  bool dnr = false;      ///< Do Not Retry
  bool more = false;     ///< more information stands in the error log page
  std::uint8_t crd = 0;  ///< Command Retry Delay, an index into the controller's CRDT1..3; 0: none

  constexpr bool ok() const { return sct == 0 && sc == 0; }
  constexpr bool operator==(const NvmeStatus&) const = default;
  /// The specification's name of this status, or "unknown status" for codes it does not define. Static storage.
  std::string_view text() const noexcept;
  /// For people: `LBA Out of Range (SCT 0x0, SC 0x80, DNR)`.
  std::string describe() const;
  /// The errno closest in meaning: EIO unless a better one is known.
  int to_errno() const noexcept;
};

/// Status codes that this library produces itself or tests for. The names are the specification's.
namespace nvme_sc {
inline constexpr NvmeStatus success{};
inline constexpr NvmeStatus invalid_opcode{.sc = 0x01};
inline constexpr NvmeStatus invalid_field{.sc = 0x02};
inline constexpr NvmeStatus data_transfer_error{.sc = 0x04};
inline constexpr NvmeStatus internal_device_error{.sc = 0x06};
inline constexpr NvmeStatus abort_requested{.sc = 0x07};
inline constexpr NvmeStatus lba_out_of_range{.sc = 0x80};
inline constexpr NvmeStatus capacity_exceeded{.sc = 0x81};
inline constexpr NvmeStatus namespace_not_ready{.sc = 0x82};
inline constexpr NvmeStatus write_fault{.sct = 2, .sc = 0x80};
inline constexpr NvmeStatus unrecovered_read_error{.sct = 2, .sc = 0x81};
inline constexpr NvmeStatus guard_check_error{.sct = 2, .sc = 0x82};
inline constexpr NvmeStatus application_tag_check_error{.sct = 2, .sc = 0x83};
inline constexpr NvmeStatus reference_tag_check_error{.sct = 2, .sc = 0x84};
inline constexpr NvmeStatus compare_failure{.sct = 2, .sc = 0x85};
}  // namespace nvme_sc

}  // namespace spdkio
