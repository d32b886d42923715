// IovaAllocator: which addresses of an IOMMU's are used.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>

namespace spdkio::nvme::pcie {

/// Addresses from `first` to `last`, both of them included.
struct IovaWindow {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// Hands out ranges of the windows that the IOMMU can translate, lowest first. Not thread-safe.
class IovaAllocator {
 public:
  /// Windows may come in any order; the first page of the address space is never handed out, so that 0 stays an address
  /// that is always wrong. What lies beyond `last_address` is not used.
  IovaAllocator(std::span<const IovaWindow> windows, std::uint64_t last_address);

  /// `size` is a multiple of 4096 and not 0; `alignment` is a power of two, at least 4096. None: no room.
  std::optional<std::uint64_t> allocate(std::uint64_t size, std::uint64_t alignment);
  /// What `allocate` gave.
  void free(std::uint64_t start, std::uint64_t size) noexcept;

 private:
  std::map<std::uint64_t, std::uint64_t> free_;  // start to size
};

}  // namespace spdkio::nvme::pcie
