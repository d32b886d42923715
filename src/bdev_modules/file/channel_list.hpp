// ChannelList: the channels of a device on all Threads, for the reset, which concerns them all.
#pragma once

#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <memory>
#include <mutex>
#include <vector>

#include "bdev_modules/file/in_flight.hpp"

namespace spdkio::bdev::file {

/// Any OS thread.
class ChannelList {
 public:
  /// The current Thread has a channel now.
  void add(std::shared_ptr<InFlight> in_flight);
  void remove(const std::shared_ptr<InFlight>& in_flight) noexcept;
  /// Until every request that is in flight now, on any Thread, has ended.
  static Task<> drain_all(std::shared_ptr<ChannelList> self);

 private:
  struct Entry {
    ThreadHandle thread;
    std::shared_ptr<InFlight> in_flight;
  };
  std::vector<Entry> snapshot() const;

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace spdkio::bdev::file
