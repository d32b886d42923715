// The error module: a device that fails when it is told to.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/io_status.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

enum class ErrorAction : std::uint8_t {
  fail,          ///< ends with `status`, without reaching the base
  pending,       ///< never ends by itself: until a reset, an abort, a clear or the removal
  corrupt_data,  ///< reads give, and writes store, data with one byte changed
  no_memory      ///< finds no room `count` times; the block layer submits it again
};

/// One rule. The first that matches a request applies.
struct ErrorInjection {
  std::optional<IoType> type{};  ///< nothing: every kind of operation
  ErrorAction action = ErrorAction::fail;
  std::uint64_t count = 1;          ///< how many requests it applies to; then it is gone. UINT64_MAX: for ever
  std::optional<LbaRange> range{};  ///< only requests that touch these blocks
  IoStatus status = IoStatus::nvme(nvme_sc::internal_device_error);
  std::uint32_t queue_depth = 0;     ///< only while at least so many of the Thread's requests are in flight
  std::uint64_t corrupt_offset = 0;  ///< corrupt_data: which byte of the request
  std::uint8_t corrupt_value = 0;    ///< corrupt_data: is XORed to it; 0: 0xFF
};

/// The strings are copied before `create_error` returns.
struct ErrorOptions {
  std::string_view base{};
  std::string_view name{};  ///< empty: `EE_<base>`, as in SPDK
  Uuid uuid{};              ///< nil: a new one
};

/// Opens and claims `base` and registers the device over it. Errors: ENODEV, EPERM, EEXIST.
Task<Bdev> create_error(const ErrorOptions& options);
Task<> delete_error(std::string_view name);
/// Adds a rule; any Thread. ENODEV when there is no error device of that name.
void inject_error(std::string_view name, const ErrorInjection& injection);
/// Drops all rules and lets go of what is pending: it ends with an error.
Task<> clear_errors(std::string_view name);

/// bdev_error_create, bdev_error_delete, bdev_error_inject_error.
void register_error_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
