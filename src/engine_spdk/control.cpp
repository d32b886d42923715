#include "engine_spdk/control.hpp"

#include <spdk/env.h>

#include <utility>

namespace spdkio::spdk {
namespace {

/// How long it spins after its last work where reactors never sleep: it has no core of its own, and would take half of
/// a reactor's where that is one of two hardware threads.
constexpr std::chrono::milliseconds busy_spin{100};

std::chrono::microseconds spin_of(PollMode poll_mode, std::chrono::microseconds idle_spin) {
  switch (poll_mode) {
    case PollMode::busy: return busy_spin;
    case PollMode::interrupt: return std::chrono::microseconds{0};
    default: return idle_spin;
  }
}

}  // namespace

Control::Control(PollMode poll_mode, std::chrono::microseconds idle_spin, std::function<void()> set_up)
    : os_thread_({.os_name = "spdk/control",
                  .name = "spdk_control",
                  .idle_spin = spin_of(poll_mode, idle_spin),
                  .set_up = [this, poll_mode, set_up = std::move(set_up)] { begin(poll_mode, set_up); },
                  .tear_down = [this] { end(); }}) {}

void Control::begin(PollMode poll_mode, const std::function<void()>& set_up) {
  set_up();
  // The environment has bound this OS thread to a reactor's core, where it would be in the way.
  ::spdk_unaffinitize_thread();
  threads_.emplace(poll_mode == PollMode::interrupt);
  app_ = &threads_->here();
  napper_.emplace([] { return PollResult::idle; }, PollerOptions{.name = "spdk_own_threads_nap"});
  if (threads_->foreign_fd() >= 0) napper_->pause();
  foreign_.emplace([this] { return poll_foreign(); },
                   PollerOptions{.name = "spdk_own_threads", .wake_fd = threads_->foreign_fd()});
}

PollResult Control::poll_foreign() {
  const PollResult result = threads_->poll_foreign();
  if (threads_->foreign_fd() >= 0 && threads_->foreign_naps() == napper_->paused()) {
    if (napper_->paused()) {
      napper_->resume();
    } else {
      napper_->pause();
    }
  }
  return result;
}

/// Ends the SPDK threads.
void Control::end() noexcept {
  foreign_.reset();
  napper_.reset();
  threads_.reset();
}

}  // namespace spdkio::spdk
