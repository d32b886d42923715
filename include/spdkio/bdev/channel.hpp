// Channel: a device as one Thread sees it. The one virtual call per I/O goes here.
#pragma once

#include <spdkio/bdev/io.hpp>

namespace spdkio::bdev {

/// Written by modules. Made, used and destroyed on one Thread; holds what that Thread needs to reach the device without
/// locks: a ring, a queue pair, the channels of devices below.
class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  /// Nothing is in flight any more.
  virtual ~Channel() = default;

  /// Takes the request, which the block layer has checked: supported, in range, buffers of the right length and
  /// alignment. It ends with `io.complete`, now or later, exactly once. Lack of room is `IoStatus::no_memory()`: the
  /// request comes again.
  virtual void submit(Io& io) noexcept = 0;

  /// The submitter would like `io`, which this channel has, to end early. If that can be done, complete it with
  /// `IoStatus::cancelled`; otherwise let it run. Called at most once per request.
  virtual void abort(Io& io) noexcept { (void)io; }

  /// The device is being removed. No request comes any more; those that are held for a reason of the module's own (a
  /// delay, an injected hang) should end now, with ENODEV. The channel is destroyed when all have.
  virtual void device_removed() noexcept {}
};

}  // namespace spdkio::bdev
