// The null module: takes every write and forgets it, reads nothing. For measuring what stands above a device.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <string_view>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// The strings are copied before `create_null` returns.
struct NullOptions {
  std::string_view name{};
  std::uint64_t num_blocks = 0;
  std::uint32_t block_size = 512;  ///< bytes of data; interleaved metadata comes on top
  std::uint32_t physical_block_size = 0;
  std::uint32_t metadata_size = 0;  ///< bytes per block: 0, 8, 16, 32, 64 or 128; interleaved
  Uuid uuid{};                      ///< nil: a new one
};

/// Registers a device whose reads leave the buffer as it is and whose writes vanish. Errors: Misuse::invalid_argument
/// naming the option, EEXIST.
Task<Bdev> create_null(const NullOptions& options);
/// ENODEV when there is no null device of that name.
Task<> delete_null(std::string_view name);

/// bdev_null_create, bdev_null_delete, bdev_null_resize.
void register_null_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
