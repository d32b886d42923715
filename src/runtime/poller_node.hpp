// A registered poller, shared by its handle and its Thread so that either may let go first.
#pragma once

#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace spdkio::detail {

class PollerNode final : public TimerNode, public std::enable_shared_from_this<PollerNode> {
 public:
  PollerNode(std::function<PollResult()> fn, PollerOptions options) : fn_(std::move(fn)), options_(std::move(options)) {
    fire = on_timer;
  }

  /// Calls the function unless paused; exceptions pause it.
  bool call() noexcept;
  void register_on(ThreadCore& core);
  void unregister() noexcept;
  void pause() noexcept;
  void resume();

  bool timed() const noexcept { return options_.period > options_.period.zero(); }
  bool paused() const noexcept { return paused_; }
  bool removed() const noexcept { return core_ == nullptr; }
  /// Of the Thread it was registered on; fixed from then on.
  const std::shared_ptr<Mailbox>& home() const noexcept { return home_; }
  /// True when nothing in the kernel tells that it has work: a sleeping Thread must look from time to time.
  bool sleepless() const noexcept { return !timed() && options_.wake_fd < 0 && !paused_; }
  const PollerOptions& options() const noexcept { return options_; }
  std::uint64_t calls() const noexcept { return calls_; }
  std::uint64_t busy_calls() const noexcept { return busy_calls_; }

 private:
  static void on_timer(TimerNode& node) noexcept;

  std::function<PollResult()> fn_;
  PollerOptions options_;
  std::shared_ptr<Mailbox> home_;
  ThreadCore* core_ = nullptr;
  bool paused_ = false;
  std::uint64_t calls_ = 0;
  std::uint64_t busy_calls_ = 0;
};

}  // namespace spdkio::detail
