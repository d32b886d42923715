// The reset of a file: there is nothing to reset but to wait for what is in flight.
#pragma once

#include <spdkio/bdev/io.hpp>

#include <memory>

#include "bdev_modules/file/channel_list.hpp"

namespace spdkio::bdev::file {

/// Completes `io` when every request that the device has on any Thread has ended. On the Thread of its channel.
void submit_reset(Io& io, std::shared_ptr<ChannelList> channels) noexcept;

}  // namespace spdkio::bdev::file
