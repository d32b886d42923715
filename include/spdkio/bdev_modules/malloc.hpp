// The malloc module: a RAM disk.
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

/// The strings are copied before `create_malloc` returns.
struct MallocOptions {
  std::string_view name{};  ///< empty: Malloc0, Malloc1, ...
  std::uint64_t num_blocks = 0;
  std::uint32_t block_size = 512;  ///< bytes of data, a multiple of 512
  std::uint32_t physical_block_size = 0;
  std::uint32_t optimal_io_boundary = 0;  ///< blocks
  std::uint32_t metadata_size = 0;        ///< bytes per block: 0, 8, 16, 32, 64 or 128
  bool metadata_interleaved = false;      ///< metadata follows the data of each block in the same buffer
  DifType dif_type = DifType::none;       ///< check protection information at every read and write
  bool dif_at_start_of_metadata = false;
  int numa_node = -1;  ///< where its memory is while that node has room; -1: where it is first touched
  Uuid uuid{};         ///< nil: a new one
};

/// Registers a RAM disk that reads as zeroes. Memory is taken from the system when blocks are first written, and given
/// back by unmap. Errors: Misuse::invalid_argument naming the option, EINVAL for a NUMA node that is not there, EEXIST,
/// ENOMEM.
Task<Bdev> create_malloc(const MallocOptions& options);
/// ENODEV when there is no malloc device of that name. Its content is gone.
Task<> delete_malloc(std::string_view name);

/// bdev_malloc_create, bdev_malloc_delete.
void register_malloc_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
