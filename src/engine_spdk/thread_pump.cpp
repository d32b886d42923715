#include "engine_spdk/thread_pump.hpp"

#include <spdkio/base/clock.hpp>

#include <fcntl.h>

#include <algorithm>
#include <chrono>

namespace spdkio::spdk {
namespace {

using namespace std::chrono_literals;

/// A module that only polls is there when the descriptor was readable in so many rounds without a pause. Much work
/// looks the same, and poll mode is what suits it.
constexpr std::uint32_t rounds_of_spinning = 64;
constexpr std::chrono::nanoseconds first_patience = 10ms;
constexpr std::chrono::nanoseconds most_patience = 1s;
/// Much longer than a store takes to be seen by other cores.
constexpr std::chrono::nanoseconds settling_time = 500us;

}  // namespace

ThreadPump::ThreadPump(spdk_thread* thread, InterruptUse use, Return back) noexcept
    : thread_(thread), returns_(back == Return::tried), patience_ns_(first_patience.count()) {
  if (use == InterruptUse::off) return;
  if (use == InterruptUse::according) {
    // A duplicate: SPDK closes its own at the end of the thread, while a Thread may still watch it.
    fd_ = UniqueFd(::fcntl(::spdk_thread_get_interrupt_fd(thread), F_DUPFD_CLOEXEC, 0));
  }
  if (fd_) {
    state_ = State::sleeps;
  } else {
    set_interrupt_mode(false);
  }
}

void ThreadPump::set_interrupt_mode(bool on) noexcept {
  spdk_thread* const outer = ::spdk_get_thread();
  ::spdk_set_thread(thread_);
  ::spdk_thread_set_interrupt_mode(on);
  ::spdk_set_thread(outer);
}

bool ThreadPump::poll(bool waited_for) noexcept {
  const bool found = ::spdk_thread_poll(thread_, 0, 0) > 0;
  if (fd_.get() < 0) [[likely]]
    return found || waited_for;

  if (state_ == State::polled) {
    const bool busy = found || waited_for;
    if (!returns_) return busy;
    const std::uint64_t now = ticks();
    if (busy || since_ == 0) {
      since_ = now;
    } else if (ns_from_ticks(now - since_).count() > static_cast<std::int64_t>(patience_ns_)) {
      set_interrupt_mode(true);
      state_ = State::settling;
      since_ = now;
    }
    return busy;
  }

  if (!found) {
    rounds_with_events_ = 0;
    if (state_ == State::sleeps) {
      patience_ns_ = first_patience.count();
    } else if (ns_from_ticks(ticks() - since_) > settling_time) {
      // Whoever sent a message before it saw the switch told nobody. By now the switch is seen everywhere, and a
      // message of the thread to itself brings those before it along.
      ::spdk_thread_send_msg(thread_, [](void*) {}, nullptr);
      state_ = State::sleeps;
    }
    return false;
  }
  if (++rounds_with_events_ >= rounds_of_spinning && ::spdk_thread_has_active_pollers(thread_) != 0) {
    set_interrupt_mode(false);
    state_ = State::polled;
    since_ = 0;
    rounds_with_events_ = 0;
    patience_ns_ = std::min<std::uint64_t>(patience_ns_ * 2, most_patience.count());
  }
  return true;
}

}  // namespace spdkio::spdk
