// What O_DIRECT needs of a file.
#pragma once

#include <cstdint>

namespace spdkio::bdev::file {

/// The alignment in bytes, a power of two, that offsets, lengths and buffers of direct I/O on `fd` need; 0: the file
/// does not do direct I/O. Asks the kernel (STATX_DIOALIGN), or tries by reading where it can't tell. Blocks.
std::uint32_t direct_io_alignment(int fd);

/// The trial: for kernels before 6.1, and file systems that do not answer. Leaves the flags of `fd` as they were.
std::uint32_t probe_direct_io_alignment(int fd);

}  // namespace spdkio::bdev::file
