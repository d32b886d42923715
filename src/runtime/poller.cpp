#include <spdkio/runtime/poller.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread.hpp>

#include <utility>

#include "runtime/poller_node.hpp"

namespace spdkio {
namespace detail {

bool PollerNode::call() noexcept {
  if (paused_ || core_ == nullptr) return false;
  ++calls_;
  ThreadCore& core = *core_;  // the function may unregister this
  core.begin_activity("poller");
  try {
    const PollResult result = fn_();
    core.end_activity("poller", options_.name);
    if (result == PollResult::idle) return false;
    ++busy_calls_;
    return true;
  } catch (...) {
    log::error("poller '{}' paused: {}", options_.name, Error::from_current_exception().what());
    pause();
    return true;
  }
}

void PollerNode::on_timer(TimerNode& node) noexcept {
  auto& self = static_cast<PollerNode&>(node);
  const auto keep = self.shared_from_this();
  self.call();
  if (self.core_ == nullptr || self.paused_ || self.queued()) return;
  try {
    self.core_->add_timer(self, self.options_.period);
  } catch (...) {
    log::error("poller '{}' paused: {}", self.options_.name, Error::from_current_exception().what());
    self.pause();
  }
}

void PollerNode::register_on(ThreadCore& core) {
  if (options_.wake_fd >= 0) core.watch(options_.wake_fd);
  home_ = core.mailbox();
  core_ = &core;
  try {
    core.add_poller(shared_from_this());
    if (timed()) core.add_timer(*this, options_.period);
  } catch (...) {
    unregister();
    throw;
  }
}

void PollerNode::unregister() noexcept {
  if (core_ == nullptr) return;
  if (options_.wake_fd >= 0) core_->unwatch(options_.wake_fd);
  if (queued()) core_->cancel_timer(*this);
  ThreadCore* core = std::exchange(core_, nullptr);
  core->pollers_changed();
}

void PollerNode::pause() noexcept {
  if (paused_ || core_ == nullptr) return;
  paused_ = true;
  if (queued()) core_->cancel_timer(*this);
  core_->pollers_changed();
}

void PollerNode::resume() {
  if (!paused_ || core_ == nullptr) return;
  paused_ = false;
  if (timed()) core_->add_timer(*this, options_.period);
  core_->pollers_changed();
}

}  // namespace detail

Poller::Poller(std::function<PollResult()> fn, PollerOptions options) {
  auto& core = detail::ThreadCore::require_current("Poller");
  if (options.period < options.period.zero()) {
    throw Error(Misuse::invalid_argument, "a poller's period can't be negative").with_device(options.name);
  }
  node_ = std::make_shared<detail::PollerNode>(std::move(fn), std::move(options));
  node_->register_on(core);
}

Poller::Poller(Poller&& other) noexcept = default;

Poller& Poller::operator=(Poller&& other) noexcept {
  std::swap(node_, other.node_);
  return *this;
}

Poller::~Poller() {
  if (node_ == nullptr) return;
  const ThreadHandle home{node_->home()};
  if (home.state() == ThreadState::exited) return;
  if (home.is_current()) {
    node_->unregister();
    return;
  }
  log::critical("poller '{}' was destroyed on another thread than '{}', which it belongs to", name(), home.name());
  [[maybe_unused]] const auto sent = home.send([node = node_] { node->unregister(); });
}

namespace {
void require_home(const detail::PollerNode& node, const char* operation) {
  const ThreadHandle home{node.home()};
  if (home.is_current() || home.state() == ThreadState::exited) return;
  throw Error(Misuse::wrong_thread, "it belongs to thread '" + home.name() + "'")
      .with_operation(operation)
      .with_device(node.options().name);
}
}  // namespace

void Poller::pause() {
  require_home(*node_, "Poller::pause");
  node_->pause();
}

void Poller::resume() {
  require_home(*node_, "Poller::resume");
  node_->resume();
}

bool Poller::paused() const noexcept { return node_->paused(); }
const std::string& Poller::name() const noexcept { return node_->options().name; }
std::uint64_t Poller::calls() const noexcept { return node_->calls(); }
std::uint64_t Poller::busy_calls() const noexcept { return node_->busy_calls(); }

}  // namespace spdkio
