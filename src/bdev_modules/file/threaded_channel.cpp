#include "bdev_modules/file/threaded_channel.hpp"

#include "bdev_modules/file/reset_request.hpp"

namespace spdkio::bdev::file {

void ThreadedChannel::submit(Io& io) noexcept {
  if (io.type == IoType::reset) {
    submit_reset(io, channels_);
  } else {
    helpers_.submit(io);
  }
}

void ThreadedChannel::abort(Io& io) noexcept {
  if (head_of(io).stage == Stage::helper) helpers_.abort(io);
}

}  // namespace spdkio::bdev::file
