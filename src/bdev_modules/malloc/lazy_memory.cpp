#include "bdev_modules/malloc/lazy_memory.hpp"

#include <spdkio/base/error.hpp>

#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace spdkio::bdev {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = std::size_t{2} << 20;
/// Below this, clearing is cheaper than giving pages back and faulting them in again.
constexpr std::size_t release_from = 128 * 1024;

void prefer_node(std::byte* memory, std::size_t bytes, int node) {
  const auto refuse = [&](int code) {
    throw Error::from_errno(code, "numa_id: this machine has no NUMA node " + std::to_string(node))
        .with_operation("mbind");
  };
  if (node < 0) refuse(EINVAL);
  if (::numa_available() < 0) {
    if (node != 0) refuse(EINVAL);
    return;
  }
  if (node > ::numa_max_node()) refuse(EINVAL);
  const std::unique_ptr<bitmask, decltype([](bitmask* mask) { ::numa_free_nodemask(mask); })> nodes(
      ::numa_allocate_nodemask());
  ::numa_bitmask_setbit(nodes.get(), static_cast<unsigned>(node));
  if (::mbind(memory, bytes, MPOL_PREFERRED, nodes->maskp, nodes->size + 1, 0) != 0) refuse(errno);
}

}  // namespace

LazyMemory::LazyMemory(std::size_t bytes, int numa_node) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error::from_errno(errno, "no address space for " + std::to_string(bytes) + " bytes").with_operation("mmap");
  }
  data_ = static_cast<std::byte*>(memory);
  if (numa_node != -1) {
    try {
      prefer_node(data_, bytes, numa_node);
    } catch (...) {
      ::munmap(memory, bytes);
      throw;
    }
  }
  if (bytes >= huge_page) ::madvise(memory, bytes, MADV_HUGEPAGE);
}

LazyMemory::~LazyMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void LazyMemory::release(std::size_t offset, std::size_t bytes) noexcept {
  const std::size_t first_page = (offset + page - 1) / page * page;
  const std::size_t end_page = (offset + bytes) / page * page;
  if (bytes < release_from || first_page >= end_page ||
      ::madvise(data_ + first_page, end_page - first_page, MADV_DONTNEED) != 0) {
    std::memset(data_ + offset, 0, bytes);
    return;
  }
  std::memset(data_ + offset, 0, first_page - offset);
  std::memset(data_ + end_page, 0, offset + bytes - end_page);
}

}  // namespace spdkio::bdev
