// InFlight: counts the requests of a channel so that a reset can wait for those that came before it.
#pragma once

#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/mutex.hpp>
#include <spdkio/runtime/task.hpp>

#include <array>
#include <cstdint>
#include <memory>

#include "bdev_modules/file/request_head.hpp"

namespace spdkio::bdev::file {

/// One Thread's. Two counters: a drain turns to the other one and waits until the first has come to zero, whatever is
/// submitted meanwhile.
class InFlight {
 public:
  void started(RequestHead& head) noexcept {
    head.epoch = epoch_;
    ++counts_[epoch_];
  }
  void ended(const RequestHead& head) noexcept {
    if (--counts_[head.epoch] == 0 && head.epoch != epoch_) [[unlikely]]
      drained_.set();
  }

  /// Until everything that is in flight now has ended. On the Thread whose requests these are.
  static Task<> drain(std::shared_ptr<InFlight> self) {
    const auto turn = co_await self->one_at_a_time_.lock();
    const std::uint8_t before = self->epoch_;
    self->epoch_ ^= 1;
    while (self->counts_[before] > 0) {
      self->drained_.reset();
      co_await self->drained_.wait();
    }
  }

 private:
  std::array<std::uint64_t, 2> counts_{};
  std::uint8_t epoch_ = 0;
  Event drained_;
  Mutex one_at_a_time_;
};

}  // namespace spdkio::bdev::file
