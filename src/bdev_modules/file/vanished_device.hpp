// A block device that the system has taken away under the bdev.
#pragma once

#include <spdkio/bdev/io_status.hpp>

#include <memory>

#include "bdev_modules/file/backing_file.hpp"

namespace spdkio::bdev::file {

/// What a request that the kernel failed with `errno_value` ends with: ENODEV when the device below has gone.
IoStatus failure_status(const BackingFile& file, int errno_value) noexcept;

/// Removes the bdev if `status` says that the device below has gone; once. On a Thread; does not wait.
void remove_if_vanished(const std::shared_ptr<BackingFile>& file, const IoStatus& status) noexcept;

}  // namespace spdkio::bdev::file
