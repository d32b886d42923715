// The memory behind a RAM disk.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spdkio::bdev {

/// Zeroed memory that is taken from the system when it is first touched.
class LazyMemory {
 public:
  /// `numa_node` -1: wherever the memory is first touched. Otherwise that node as long as it has room. Throws ENOMEM
  /// naming the size, EINVAL naming a node that this machine does not have. Zero bytes are allowed.
  LazyMemory(std::size_t bytes, int numa_node);
  LazyMemory(const LazyMemory&) = delete;
  LazyMemory& operator=(const LazyMemory&) = delete;
  ~LazyMemory();
  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  /// Makes a range read as zeroes; whole pages of it go back to the system.
  void release(std::size_t offset, std::size_t bytes) noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace spdkio::bdev
