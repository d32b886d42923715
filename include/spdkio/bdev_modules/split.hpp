// The split module: several devices of equal size on one.
#pragma once

#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// The strings are copied before `create_split` returns.
struct SplitOptions {
  std::string_view base{};
  std::uint32_t count = 0;
  std::uint64_t size_mib = 0;  ///< of each part; 0: the base divided evenly
};

/// Registers `<base>p0`, `<base>p1`, ... and claims the base. Errors: ENODEV, EPERM, EEXIST, Misuse::invalid_argument
/// when the parts do not fit.
Task<std::vector<Bdev>> create_split(const SplitOptions& options);
/// Removes the parts of `base`; ENODEV when it is not split.
Task<> delete_split(std::string_view base);

/// bdev_split_create, bdev_split_delete.
void register_split_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
