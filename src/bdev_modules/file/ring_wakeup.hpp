// RingWakeup: how completions wake a Thread that sleeps, at no cost while it does not.
#pragma once

#include <spdkio/base/unique_fd.hpp>

#include <liburing.h>

#include <cstdint>

namespace spdkio::bdev::file {

/// An eventfd that the kernel signals when there are completions; the descriptor of the ring itself is not woken when
/// completions wait for us to work them off (deferred task work). Signals are switched off after some rounds full of
/// work, with the descriptor left readable so that an attempt to sleep ends at once, and on again after some without.
class RingWakeup {
 public:
  /// Throws Error when the kernel gives no eventfd.
  explicit RingWakeup(io_uring& ring);

  int fd() const noexcept { return event_.get(); }
  /// A round with completions.
  void worked() noexcept {
    idle_rounds_ = 0;
    if (++busy_rounds_ == rounds_to_silence) [[unlikely]]
      silence();
  }
  /// A round without; true: look again, there may have been some while the signals were off.
  bool idled() noexcept {
    if (++idle_rounds_ != rounds_to_arm) return false;
    return arm();
  }

 private:
  void silence() noexcept;
  bool arm() noexcept;

  static constexpr std::uint32_t rounds_to_silence = 16;
  static constexpr std::uint32_t rounds_to_arm = 4;
  /// A signal may come late, after its completion was taken: then the descriptor is emptied again.
  static constexpr std::uint32_t rounds_to_arm_again = 64;

  io_uring& ring_;
  UniqueFd event_;
  std::uint32_t busy_rounds_ = 0;
  std::uint32_t idle_rounds_ = 0;
};

}  // namespace spdkio::bdev::file
