// Makes an io_uring with as much of what we want as the kernel has.
#pragma once

#include <spdkio/base/error.hpp>

#include <liburing.h>

namespace spdkio::bdev::file {

/// Entries of the submission queue: how many requests one system call hands over.
inline constexpr unsigned submission_entries = 256;
/// Entries of the completion queue: how many requests of a Thread the kernel has at once; more wait in our queue.
inline constexpr unsigned completion_entries = 4096;

/// Fills `ring` for the calling OS thread, the only one that may use it. The error says why this process gets none:
/// ENOSYS (an old kernel), EPERM (forbidden by sysctl or a sandbox), ENOMEM (the limit of locked memory, before 5.12).
Result<> set_up_ring(io_uring& ring);

}  // namespace spdkio::bdev::file
