// What ends with the application: all of its block devices.
#pragma once

#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/task.hpp>

namespace spdkio::app {

/// Removes every device, the newest first, so that those built on others go before their bases. What can't be removed
/// is logged and left.
Task<> remove_all_bdevs(bdev::Service& service);

}  // namespace spdkio::app
