#include "bdev_modules/malloc/lazy_memory.hpp"

#include <spdkio/base/error.hpp>

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace spdkio::bdev {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = std::size_t{2} << 20;
/// Below this, clearing is cheaper than giving pages back and faulting them in again.
constexpr std::size_t release_from = 128 * 1024;

}  // namespace

LazyMemory::LazyMemory(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error::from_errno(errno, "no address space for " + std::to_string(bytes) + " bytes").with_operation("mmap");
  }
  data_ = static_cast<std::byte*>(memory);
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
