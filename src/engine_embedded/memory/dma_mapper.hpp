// The hook of a driver that programs an IOMMU: it is told of all memory that devices may reach.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/memory.hpp>

#include <cstddef>

namespace spdkio::embedded {

/// Called with the memory service's lock held, on whichever OS thread makes memory come or go: it must not use DMA
/// memory itself. Every chunk and region is mapped as a whole.
class DmaMapper {
 public:
  /// Makes `size` bytes reachable and says at which address of the device's they begin; both are multiples of 4096.
  virtual Result<engine::Iova> map(std::byte* memory, std::size_t size) = 0;
  virtual void unmap(std::byte* memory, std::size_t size, engine::Iova iova) noexcept = 0;

 protected:
  ~DmaMapper() = default;
};

}  // namespace spdkio::embedded
