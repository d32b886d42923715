// Block devices and their counters in the shape of SPDK's answers.
#pragma once

#include <spdkio/bdev/device_state.hpp>
#include <spdkio/bdev/stats.hpp>
#include <spdkio/rpc/json.hpp>

namespace spdkio::app {

/// An entry of `bdev_get_bdevs`.
Json bdev_to_json(const bdev::DeviceState& device);
/// Adds the counters to an entry of `bdev_get_iostat`.
void stats_to_json(const bdev::Stats& stats, Json& entry);

}  // namespace spdkio::app
