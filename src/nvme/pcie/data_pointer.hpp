// The data pointer of a command: PRP entries or an SGL over the pieces of a request's buffer.
#pragma once

#include <spdkio/engine/memory.hpp>
#include <spdkio/nvme/request.hpp>

#include <cstddef>
#include <cstdint>

namespace spdkio::nvme::pcie {

/// Memory of the host as the controller was told to see it (CC.MPS).
constexpr std::uint32_t memory_page_bytes = 4096;
constexpr std::uint32_t prp_list_entries = memory_page_bytes / 8;
constexpr std::uint32_t sgl_list_entries = memory_page_bytes / 16;
/// What the one list page of a command always reaches, however the buffer lies.
constexpr std::uint32_t prp_max_transfer_bytes = prp_list_entries * memory_page_bytes;

/// SGL Support of the controller (SGLS bits 1:0).
enum class SglSupport : std::uint8_t { none = 0, byte_aligned = 1, dword_aligned = 2 };

/// A page of memory for the list of one command.
struct ListPage {
  std::byte* memory = nullptr;
  std::uint64_t iova = 0;
};

/// Fills in PSDT, data and metadata pointer for what the request transfers (`data_bytes` is not 0). PRP where the
/// pieces allow it, else an SGL. 0, or an errno: EFAULT for memory that the device can't reach, EINVAL for pieces that
/// neither form can say, E2BIG for more than the list takes.
int point_at_data(spec::Command& command, const Request& request, const ListPage& list, SglSupport sgl,
                  const engine::MemoryService& memory) noexcept;

/// The metadata pointer alone. 0, or an errno as above.
int point_at_metadata(spec::Command& command, const DmaSpan& metadata, const engine::MemoryService& memory) noexcept;

}  // namespace spdkio::nvme::pcie
