// What sysfs says about the request queue of a block device.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace spdkio::bdev::file {

/// The number in /sys/dev/block/<device>/queue/<attribute>, of the whole disk for a partition. Empty when there is
/// none: the file system has no block device, or sysfs is not mounted. Blocks.
std::optional<std::uint64_t> queue_attribute(dev_t device, const char* attribute);

}  // namespace spdkio::bdev::file
