// The operations as calls that block, for helper threads.
#pragma once

#include <spdkio/bdev/io.hpp>

#include "bdev_modules/file/backing_file.hpp"

namespace spdkio::bdev::file {

/// Executes `io` to its end, on a helper thread; fills `io.result`. Not for resets.
IoStatus execute_blocking(BackingFile& file, Io& io) noexcept;

}  // namespace spdkio::bdev::file
