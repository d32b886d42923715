// The seam for memory: what an engine gives out, and what it knows about memory that it did not.
#pragma once

#include <spdkio/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::engine {

/// An address as a device sees it.
enum class Iova : std::uint64_t {};

/// Device addresses of the start of a piece of memory, good for `length` bytes from there.
struct IovaRange {
  Iova start{};
  std::size_t length = 0;
};

/// A large run of memory that allocations are cut from, or that the program registered. Modules hand whole chunks to
/// the kernel once (fixed buffers of io_uring, IOMMU mappings) instead of each buffer.
struct MemoryChunk {
  std::byte* base = nullptr;
  std::size_t size = 0;
  std::uint64_t id = 0;  ///< of this chunk alone: other memory that comes to lie at the same address has another
};

struct MemoryInfo {
  bool hugepages = false;       ///< false: ordinary pages
  std::size_t page_size = 0;    ///< bytes
  std::size_t reserved = 0;     ///< bytes held from the system
  std::size_t allocated = 0;    ///< bytes in allocations that are alive
  std::size_t allocations = 0;  ///< how many
  std::string description;      ///< one line for people, with the reason for a fall-back
};

constexpr int any_numa_node = -1;

/// The hook of a driver that programs an IOMMU: it is told of all memory that devices may reach, and decides where they
/// see it. Called with the memory service's lock held, on whichever OS thread makes memory come or go: it must not use
/// DMA memory itself. Every chunk and region is mapped as a whole.
class DmaMapper {
 public:
  /// Makes `size` bytes reachable and says at which address of the device's they begin; both are multiples of 4096.
  virtual Result<Iova> map(std::byte* memory, std::size_t size) = 0;
  virtual void unmap(std::byte* memory, std::size_t size, Iova iova) noexcept = 0;

 protected:
  ~DmaMapper() = default;
};

/// Any OS thread may call; nothing blocks for long except growing the reserve.
class MemoryService {
 public:
  /// `size` bytes aligned to `alignment` (a power of two); null when there is no more. The content is not defined.
  virtual void* allocate(std::size_t size, std::size_t alignment, int numa_node) noexcept = 0;
  /// Gives back what `allocate` gave, with the same size. May be called after the engine has stopped.
  virtual void free(void* memory, std::size_t size) noexcept = 0;

  /// Makes memory of the program's reachable for devices until `unregister_region`. The address and size are multiples
  /// of 4096; regions must not overlap.
  virtual Result<> register_region(void* memory, std::size_t size) = 0;
  virtual Result<> unregister_region(void* memory) = 0;

  /// The device address of `memory`, for DMA by a PCIe device. An error when it is neither allocated nor registered
  /// here, or when this process may not learn physical addresses.
  virtual Result<IovaRange> translate(const void* memory, std::size_t size) const = 0;

  /// Maps all there is, and from now on what comes, until null or another takes its place or the engine ends; `mapper`
  /// lives that long. After an error there is none.
  virtual Result<> set_dma_mapper(DmaMapper* mapper) {
    (void)mapper;
    return std::unexpected(Error(Misuse::not_supported, "this engine's memory can't be mapped for devices"));
  }

  /// All chunks now, and a number that changes whenever they do. A chunk keeps its index until it goes away.
  virtual std::vector<MemoryChunk> chunks() const = 0;
  virtual std::uint64_t chunks_version() const noexcept = 0;

  virtual MemoryInfo info() const = 0;

 protected:
  ~MemoryService() = default;
};

}  // namespace spdkio::engine
