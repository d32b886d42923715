// Poller: a function that the current Thread calls again and again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace spdkio {

/// What a poller found; a Thread whose pollers are all idle may go to sleep.
enum class PollResult : bool { idle = false, busy = true };

struct PollerOptions {
  std::string name{};                 ///< for statistics and the debug listing
  std::chrono::nanoseconds period{};  ///< 0: at every round of the Thread; otherwise a timer
  /// A descriptor that becomes readable when there is something to poll for; the Thread may then sleep while it is not.
  /// Must stay open while the poller exists. An untimed poller without one is called about once a millisecond while the
  /// Thread is otherwise asleep.
  int wake_fd = -1;
};

namespace detail {
class PollerNode;
}

/// Registers `fn` on the current Thread for the life of the object. Move-only; belongs to that Thread, where it must
/// be destroyed: elsewhere that is logged, and the Thread is asked to remove it, while `fn` may run once more. `fn`
/// must not block. An exception that leaves it pauses the poller and is logged with its name. The function may pause or
/// destroy its own Poller.
class Poller {
 public:
  /// Throws Error(wrong_thread) when the calling OS thread acts for no Thread.
  Poller(std::function<PollResult()> fn, PollerOptions options = {});
  Poller(Poller&& other) noexcept;
  Poller& operator=(Poller&& other) noexcept;
  ~Poller();

  /// Throw Misuse::wrong_thread on another Thread.
  void pause();
  void resume();
  bool paused() const noexcept;
  const std::string& name() const noexcept;
  /// How often `fn` was called, and how often it was busy.
  std::uint64_t calls() const noexcept;
  std::uint64_t busy_calls() const noexcept;

 private:
  std::shared_ptr<detail::PollerNode> node_;
};

}  // namespace spdkio
