// The passthru module: a device that hands every request to another one. An example of a stacked device, and a place to
// measure what stacking costs.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/task.hpp>

#include <string_view>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// The strings are copied before `create_passthru` returns.
struct PassthruOptions {
  std::string_view name{};
  std::string_view base{};
  Uuid uuid{};  ///< nil: a new one
};

/// Opens and claims `base` and registers the device over it. It goes when the base goes, and follows its size. Errors:
/// ENODEV, EPERM when the base is claimed or open for writing, EEXIST.
Task<Bdev> create_passthru(const PassthruOptions& options);
/// ENODEV when there is no passthru device of that name.
Task<> delete_passthru(std::string_view name);

/// bdev_passthru_create, bdev_passthru_delete.
void register_passthru_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
