// The delay module: a device that answers later than the one it stands on.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <string_view>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// What is added to a request's own time: 99 of 100 get the average, one the 99th percentile.
struct DelayLatencies {
  std::chrono::microseconds average_read{};
  std::chrono::microseconds p99_read{};
  std::chrono::microseconds average_write{};
  std::chrono::microseconds p99_write{};
};

/// The strings are copied before `create_delay` returns.
struct DelayOptions {
  std::string_view name{};
  std::string_view base{};
  DelayLatencies latencies;
  Uuid uuid{};  ///< nil: a new one
};

/// Reads count as reads, everything that transfers or changes data as writes; flush, reset and the rest pass undelayed.
/// Which requests are slow does not depend on chance: every hundredth of each kind and Thread. A request that waits can
/// be aborted: it has then been executed by the base. Errors: ENODEV, EPERM, EEXIST, Misuse::invalid_argument when a
/// p99 is below its average.
Task<Bdev> create_delay(const DelayOptions& options);
Task<> delete_delay(std::string_view name);
/// For requests that are answered from now on. ENODEV, Misuse::invalid_argument as above.
void set_delay(std::string_view name, const DelayLatencies& latencies);

/// bdev_delay_create, bdev_delay_delete, bdev_delay_update_latency.
void register_delay_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
