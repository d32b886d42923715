// What a ControllerCore does when its connection was lost, or is to be given up: everything goes down, and comes back.
#include <spdkio/base/clock.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/registers.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nvme/controller_core.hpp"
#include "nvme/keeping.hpp"
#include "nvme/queue_calls.hpp"

namespace spdkio::nvme {
namespace {

constexpr std::chrono::seconds longest_shutdown{5};

std::chrono::nanoseconds since(std::uint64_t start_ticks) noexcept {
  const auto* core = spdkio::detail::ThreadCore::current();
  return ns_from_ticks(core->read_clock() - start_ticks);
}

}  // namespace

void ControllerCore::queue_lost(QueueState& queue, const Error& why) noexcept {
  const std::uint64_t attempt = attempt_.load(std::memory_order_relaxed);
  if (home_.is_current()) return lost(attempt, why);
  try {
    [[maybe_unused]] const auto sent =
        home_.send([self = shared_from_this(), attempt, why] { self->lost(attempt, why); });
  } catch (...) {
    log::error("{}: no memory to report that queue {} was lost", settings_.name, queue.qid());
  }
}

void ControllerCore::lost(std::uint64_t attempt, const Error& why) noexcept {
  if (attempt != attempt_.load(std::memory_order_relaxed) || is_lost_) return;
  is_lost_ = true;
  why_lost_ = why;
  if (establishing_) abandon_attempt();
  wake_.set();
}

/// What is being set up hears of the loss: its commands end.
void ControllerCore::abandon_attempt() noexcept {
  admin_->refuse(*why_lost_);
  try {
    CurrentThread::spawn(keeping(shared_from_this(), admin_->stop(false)), "nvme abandon").detach();
  } catch (...) {
    log::error("{}: no memory to give an attempt to connect up", settings_.name);
  }
}

Task<> ControllerCore::recover() {
  const bool by_request = std::exchange(reset_wanted_, false) && !is_lost_;
  const Error why = is_lost_ ? *why_lost_ : Error(std::errc::connection_reset, "reset was asked for");
  is_lost_ = true;  // reports of other queues say nothing new
  const std::uint64_t start = spdkio::detail::ThreadCore::current()->read_clock();
  set_state(ControllerState::reconnecting);
  ready_.reset();
  if (by_request) {
    log::info("{}: resetting", settings_.name);
  } else {
    log::warn("{}: lost: {}", settings_.name, why.what());
  }
  add_event({.kind = ControllerEvent::Kind::disconnected, .text = why.what()});
  auto taking_down = take_down(false);
  co_await std::move(taking_down);
  const ReconnectPolicy& policy = settings_.reconnect;
  if (!policy.enabled && !by_request) {
    fail_for_good(why);
    co_return;
  }

  const StopToken stop = co_await stop_token();
  std::chrono::nanoseconds delay = by_request ? std::chrono::milliseconds{0} : policy.initial_delay;
  std::chrono::nanoseconds next_attempt = delay;
  bool refusing = false;
  for (;;) {
    if (detach_wanted_ || stop.stop_requested()) co_return;
    const std::chrono::nanoseconds elapsed = since(start);
    if (policy.give_up_after.count() >= 0 && elapsed >= policy.give_up_after) {
      fail_for_good(
          why.with_context(fmt::format("reconnecting to {} for {} ms", settings_.name, policy.give_up_after.count())));
      co_return;
    }
    if (policy.fail_io_after.count() >= 0 && elapsed >= policy.fail_io_after && !refusing) {
      refusing = true;
      refuse_queues(Error(std::errc::not_connected, why.what()));
    }
    if (elapsed < next_attempt) {
      std::chrono::nanoseconds pause = next_attempt - elapsed;
      if (policy.give_up_after.count() >= 0) pause = std::min(pause, policy.give_up_after - elapsed);
      if (policy.fail_io_after.count() >= 0 && !refusing) pause = std::min(pause, policy.fail_io_after - elapsed);
      auto waiting = wait_for_attempt(pause);
      co_await std::move(waiting);
      continue;
    }
    auto attempting = attempt();
    const auto attempted = co_await as_result(std::move(attempting));
    if (attempted) break;
    log::debug("{}: {}", settings_.name, attempted.error().what());
    auto going_down = take_down(false);
    co_await std::move(going_down);
    delay = std::clamp<std::chrono::nanoseconds>(2 * delay, std::chrono::milliseconds{10},
                                                 std::max(policy.max_delay, std::chrono::milliseconds{10}));
    next_attempt = since(start) + delay;
  }
  log::info("{}: connected again after {} ms", settings_.name,
            std::chrono::duration_cast<std::chrono::milliseconds>(since(start)).count());
  set_state(ControllerState::ready);
  ready_.set();
  add_event({.kind = ControllerEvent::Kind::reconnected});
}

Task<> ControllerCore::attempt() {
  auto establishing = establish();
  co_await std::move(establishing);
  let_queues_wait();
  auto reopening = reopen_queues();
  co_await std::move(reopening);
  if (is_lost_) throw *why_lost_;
}

/// Ends early when something else is to be done.
Task<> ControllerCore::wait_for_attempt(std::chrono::nanoseconds delay) {
  auto limited = with_timeout(delay, wake_.wait());
  if (co_await as_result(std::move(limited))) wake_.reset();
}

Task<> ControllerCore::take_down(bool orderly) {
  auto stopping = stop_queues(orderly);
  co_await std::move(stopping);
  if (orderly && !transport_->limits().driven) {
    auto limited = with_timeout(longest_shutdown, shut_down_controller());
    const auto shut_down = co_await as_result(std::move(limited));
    if (!shut_down) log::debug("{}: shutdown: {}", settings_.name, shut_down.error().what());
  }
  admin_->refuse(
      why_failed_.value_or(why_lost_.value_or(Error(std::errc::not_connected, "the connection was closed"))));
  auto stopping_admin = admin_->stop(orderly);
  co_await std::move(stopping_admin);
  if (upkeep_) {
    upkeep_->request_stop();
    auto joining = upkeep_->join();
    [[maybe_unused]] const auto joined = co_await as_result(std::move(joining));
    upkeep_.reset();
  }
  auto closing = transport_->close();
  co_await std::move(closing);
}

Task<> ControllerCore::stop_queues(bool orderly) {
  const auto queues = queues_;
  Scope scope("nvme stop queues");
  for (const auto& queue : queues) {
    try {
      scope.spawn(stop_queue(queue, orderly));
    } catch (const Error& error) {
      log::error("{}: queue {}: {}", settings_.name, queue->qid(), error.what());
    }
  }
  auto joining = scope.join();
  [[maybe_unused]] const auto joined = co_await as_result(std::move(joining));
}

Task<> ControllerCore::reopen_queues() {
  const auto queues = queues_;
  for (const auto& queue : queues) {
    if (queue->qid() > granted_queues()) {
      throw Error(std::errc::no_space_on_device,
                  fmt::format("the controller grants {} queues now, {} is in use", granted_queues(), queue->qid()))
          .with_device(settings_.name);
    }
    auto open = [this, queue] { return queue->open(*transport_, in_capsule_bytes_.load(std::memory_order_relaxed)); };
    auto calling = queue->thread().call(moved(std::move(open)));
    const auto opened = co_await as_result(std::move(calling));
    // A queue whose Thread has ended is nobody's any more.
    if (!opened && queue->thread().state() != ThreadState::exited) throw opened.error();
  }
}

/// Tells the controller that the host goes, and waits until it has done what it wants to do before.
Task<> ControllerCore::shut_down_controller() {
  auto reading = transport_->get_property(spec::Property::cc, 4);
  const spec::Configuration cc{static_cast<std::uint32_t>(co_await std::move(reading))};
  auto writing = transport_->set_property(spec::Property::cc, 4, cc.with_shutdown(1).value);
  co_await std::move(writing);
  for (;;) {
    auto looking = transport_->get_property(spec::Property::csts, 4);
    const spec::ControllerStatus csts{static_cast<std::uint32_t>(co_await std::move(looking))};
    if (csts.shutdown_status() == 2 || csts.gone()) co_return;
    co_await sleep_for(std::chrono::milliseconds{10});
  }
}

void ControllerCore::refuse_queues(const Error& why) {
  for (const auto& queue : queues_) tell(queue, [why](QueueState& self) { self.refuse(why); });
}

void ControllerCore::let_queues_wait() {
  for (const auto& queue : queues_) tell(queue, [](QueueState& self) { self.wait_again(); });
}

void ControllerCore::fail_for_good(Error why) {
  log::error("{}: given up: {}", settings_.name, why.what());
  why_failed_ = why.with_device(settings_.name);
  refuse_queues(*why_failed_);
  admin_->refuse(*why_failed_);
  set_state(ControllerState::failed);
  ready_.set();
  add_event({.kind = ControllerEvent::Kind::failed, .text = why.what()});
}

}  // namespace spdkio::nvme
