#include "app/bdev_removal.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace spdkio::app {

Task<> remove_all_bdevs(bdev::Service& service) {
  std::set<const bdev::DeviceState*> given_up;
  for (;;) {
    const auto devices = service.list();
    const auto newest = std::find_if(devices.rbegin(), devices.rend(),
                                     [&](const auto& device) { return !given_up.contains(device.get()); });
    if (newest == devices.rend()) co_return;
    std::string name = (*newest)->name();
    auto removal = service.unregister_device(name);
    const Result<> removed = co_await as_result(std::move(removal));
    if (removed) continue;
    // Gone meanwhile, together with the device below it or by an RPC.
    const auto still = service.find(name);
    if (still == nullptr || still != *newest) continue;
    log::error("block device '{}' can't be removed: {}", name, removed.error().what());
    given_up.insert(newest->get());
  }
}

}  // namespace spdkio::app
