// What the public functions and the RPC methods of the file module share.
#pragma once

#include <spdkio/bdev_modules/file.hpp>

#include <optional>
#include <string>

namespace spdkio::bdev::file {

/// `style`: only a device that shows itself so counts; nothing: either.
Task<> remove(std::string name, std::optional<FileStyle> style);
Task<BlockCount> rescan(std::string name, std::optional<FileStyle> style);

}  // namespace spdkio::bdev::file
