// Status codes of the target's answers, and what the block layer's mean to a host.
#pragma once

#include <spdkio/base/nvme_status.hpp>
#include <spdkio/bdev/io.hpp>

namespace spdkio::nvmf {

namespace sc {
inline constexpr NvmeStatus success{};
inline constexpr NvmeStatus invalid_opcode{.sc = 0x01, .dnr = true};
inline constexpr NvmeStatus invalid_field{.sc = 0x02, .dnr = true};
inline constexpr NvmeStatus cid_conflict{.sc = 0x03, .dnr = true};
inline constexpr NvmeStatus internal_error{.sc = 0x06};
inline constexpr NvmeStatus abort_requested{.sc = 0x07};
inline constexpr NvmeStatus sq_deleted{.sc = 0x08};
inline constexpr NvmeStatus failed_fused{.sc = 0x09, .dnr = true};
inline constexpr NvmeStatus missing_fused{.sc = 0x0A, .dnr = true};
inline constexpr NvmeStatus invalid_namespace{.sc = 0x0B, .dnr = true};
inline constexpr NvmeStatus command_sequence_error{.sc = 0x0C, .dnr = true};
inline constexpr NvmeStatus sgl_length_invalid{.sc = 0x0F, .dnr = true};
inline constexpr NvmeStatus sgl_type_invalid{.sc = 0x11, .dnr = true};
inline constexpr NvmeStatus sgl_offset_invalid{.sc = 0x16, .dnr = true};
inline constexpr NvmeStatus transient_transport_error{.sc = 0x22};
inline constexpr NvmeStatus lba_out_of_range{.sc = 0x80, .dnr = true};
inline constexpr NvmeStatus capacity_exceeded{.sc = 0x81, .dnr = true};
inline constexpr NvmeStatus invalid_queue_identifier{.sct = 1, .sc = 0x01, .dnr = true};
inline constexpr NvmeStatus abort_limit_exceeded{.sct = 1, .sc = 0x03, .dnr = true};
inline constexpr NvmeStatus async_event_limit_exceeded{.sct = 1, .sc = 0x05, .dnr = true};
inline constexpr NvmeStatus invalid_log_page{.sct = 1, .sc = 0x09, .dnr = true};
inline constexpr NvmeStatus feature_not_saveable{.sct = 1, .sc = 0x0D, .dnr = true};
inline constexpr NvmeStatus feature_not_changeable{.sct = 1, .sc = 0x0E, .dnr = true};
inline constexpr NvmeStatus write_to_read_only_range{.sct = 1, .sc = 0x82, .dnr = true};
}  // namespace sc

/// How a request of a host ends whose bdev I/O ended so.
NvmeStatus status_of(const bdev::IoStatus& status, bdev::IoType type) noexcept;

}  // namespace spdkio::nvmf
