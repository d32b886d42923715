#include "engine_spdk/control.hpp"

#include <spdk/env.h>

#include <utility>

namespace spdkio::spdk {
namespace {

/// How long it spins after its last work where reactors never sleep: it has no core of its own, and would take half of
/// a reactor's where that is one of two hardware threads.
constexpr std::chrono::milliseconds busy_spin{100};

}  // namespace

Control::Control(PollMode poll_mode, std::chrono::microseconds idle_spin, std::function<void()> set_up)
    : os_thread_({.os_name = "spdk/control",
                  .name = "spdk_control",
                  .idle_spin = poll_mode == PollMode::busy ? busy_spin : idle_spin,
                  .set_up = [this, set_up = std::move(set_up)] { begin(set_up); },
                  .tear_down = [this] { end(); }}) {}

void Control::begin(const std::function<void()>& set_up) {
  set_up();
  // The environment has bound this OS thread to a reactor's core, where it would be in the way.
  ::spdk_unaffinitize_thread();
  threads_.emplace();
  app_ = &threads_->here();
  foreign_.emplace([this] { return threads_->poll_foreign(); }, PollerOptions{.name = "spdk_own_threads"});
}

/// Ends the SPDK threads.
void Control::end() noexcept {
  foreign_.reset();
  threads_.reset();
}

}  // namespace spdkio::spdk
