// What the memory service asks of the operating system, as an interface, so that tests can make every answer come.
#pragma once

#include <spdkio/base/error.hpp>

#include <cstddef>
#include <cstdint>

namespace spdkio::embedded {

constexpr std::size_t hugepage_bytes = std::size_t{2} << 20;

struct MapRequest {
  std::size_t size = 0;  ///< bytes, a multiple of `hugepage_bytes`
  bool huge = false;
  int numa_node = -1;
  int shm_id = -1;
};

struct HugepageCount {
  std::size_t free = 0;
  std::size_t total = 0;
};

class SystemMemory {
 public:
  /// Zeroed memory aligned to `hugepage_bytes`. Huge: present when this returns, so that using it can't fail any more.
  /// Throws std::bad_alloc besides the errors it returns.
  virtual Result<std::byte*> map(const MapRequest& request) = 0;
  virtual void unmap(std::byte* memory, std::size_t size) noexcept = 0;
  /// Of 2 MiB; surplus pages that the kernel may still make count as free ones.
  virtual HugepageCount hugepages() const = 0;
  virtual bool numa_node_exists(int node) const = 0;
  virtual std::size_t numa_node_count() const = 0;
  /// True when every page of it is mapped.
  virtual bool is_mapped(const std::byte* memory, std::size_t size) const = 0;
  /// Bytes of the pages that the kernel maps this memory with; 4096 when it does not say.
  virtual std::size_t page_size_of(const std::byte* memory) const = 0;
  /// Of the page that `memory` points into, plus the offset in it.
  virtual Result<std::uint64_t> physical_address(const std::byte* memory) const = 0;

 protected:
  ~SystemMemory() = default;
};

/// The machine's own; lives as long as the process.
SystemMemory& linux_memory();

}  // namespace spdkio::embedded
