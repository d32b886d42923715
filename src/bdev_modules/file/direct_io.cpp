#include "bdev_modules/file/direct_io.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <memory>

namespace spdkio::bdev::file {
namespace {

constexpr std::uint32_t largest_alignment = 64 << 10;

}  // namespace

std::uint32_t direct_io_alignment(int fd) {
#ifdef STATX_DIOALIGN
  struct statx info{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 && (info.stx_mask & STATX_DIOALIGN) != 0) {
    // Pieces of a scatter list need the alignment of offsets in their length, so that one number serves for both.
    const std::uint32_t alignment = std::max(info.stx_dio_mem_align, info.stx_dio_offset_align);
    return std::has_single_bit(alignment) && info.stx_dio_offset_align != 0 ? alignment : 0;
  }
#endif
  return probe_direct_io_alignment(fd);
}

std::uint32_t probe_direct_io_alignment(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return 0;
  const std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(largest_alignment, 2 * largest_alignment),
                                                           &std::free);
  std::uint32_t found = 0;
  for (std::uint32_t alignment = 512; alignment <= largest_alignment && buffer != nullptr; alignment *= 2) {
    // An address and an offset that are multiples of this alignment and of none that is greater.
    void* const into = static_cast<std::byte*>(buffer.get()) + alignment;
    if (::pread(fd, into, alignment, alignment) >= 0 && ::pread(fd, into, alignment, 0) >= 0) {
      found = alignment;
      break;
    }
  }
  ::fcntl(fd, F_SETFL, flags);
  return found;
}

}  // namespace spdkio::bdev::file
