// The file module: a block device over a regular file or a block device of the operating system.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <string_view>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// Whether transfers go past the page cache (O_DIRECT).
enum class DirectIo : std::uint8_t {
  automatic,  ///< when the file and the block size allow it
  on,         ///< or the creation fails
  off         ///< through the page cache
};

/// How requests reach the kernel.
enum class FileBackend : std::uint8_t {
  automatic,  ///< io_uring where the kernel lets this process use it, helper threads otherwise
  io_uring,   ///< or opening a channel fails
  threads     ///< blocking calls on helper threads
};

/// Which of SPDK's two modules the device shows itself as: product name, `driver_specific`, and the method that
/// `save_config` writes. It does not change what the device does.
enum class FileStyle : std::uint8_t { aio, uring };

/// The strings are copied before `create_file` returns.
struct FileOptions {
  std::string_view name{};      ///< of the new bdev
  std::string_view filename{};  ///< of a regular file or a block device; it must exist and not be empty
  /// Bytes, a power of two from 512. 0: what a block device says, or the smallest that suits the regular file.
  std::uint32_t block_size = 0;
  bool read_only = false;
  DirectIo direct = DirectIo::automatic;
  FileBackend backend = FileBackend::automatic;
  FileStyle style = FileStyle::uring;
  /// Offer unmap and write_zeroes, by fallocate and discard.
  bool fallocate = true;
  /// Leave out what stands behind the last whole block, instead of refusing the file; a warning in the log says so.
  bool round_down = false;
  /// With `round_down`: whoever opens the file looks after that rest, so that there is nothing to warn of.
  bool rest_expected = false;
  /// Refuse anything but a block device (EOPNOTSUPP), as SPDK does where it submits with RWF_NOWAIT. A submit never
  /// waits here, with or without.
  bool nowait = false;
  Uuid uuid{};  ///< nil: a new one
};

/// Opens the file and registers the bdev. Any Thread; nothing blocks it. Errors name the file and what to do: ENOENT,
/// EACCES, EROFS, ... as opening it gave; Misuse::invalid_argument for what can't be a device (a directory, a pipe, an
/// empty file) and for a block size that does not fit; EEXIST when the name is taken.
///
/// The device stays with the file it opened, also after that was renamed or deleted. A read beyond the end of a file
/// that was shortened fails with EIO, and a line in the log names file and offset.
///
/// The environment variable SPDKIO_NO_IO_URING=1 makes `FileBackend::automatic` use helper threads.
Task<Bdev> create_file(const FileOptions& options);

/// Removes a bdev of this module and closes the file. ENODEV when there is no bdev of that name or another module's.
Task<> delete_file(std::string_view name);

/// Looks at the size again and tells everybody when it changed; gives the new size. A file or medium that is gone (size
/// zero) removes the bdev, with 0 as result. Errors: ENODEV as for `delete_file`; EBUSY when it shrank while it is
/// open.
Task<BlockCount> rescan_file(std::string_view name);

/// Adds bdev_aio_create, bdev_aio_delete, bdev_aio_rescan, bdev_uring_create, bdev_uring_delete, bdev_uring_rescan.
void register_file_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
