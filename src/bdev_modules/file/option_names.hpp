// The names of the file module's options in JSON.
#pragma once

#include <spdkio/bdev_modules/file.hpp>
#include <spdkio/rpc/json_field.hpp>

#include <span>
#include <string_view>

namespace spdkio::bdev {

// For rpc::Params, which finds them by the type.
std::span<const rpc::EnumName<DirectIo>> rpc_names(DirectIo);
std::span<const rpc::EnumName<FileBackend>> rpc_names(FileBackend);

}  // namespace spdkio::bdev
