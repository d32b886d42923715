#include "engine_spdk/light_thread.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <chrono>
#include <thread>
#include <utility>

#include "runtime/poller_node.hpp"

namespace spdkio::spdk {
namespace {

/// How often the control Thread looks for SPDK threads whose Thread has ended.
constexpr std::chrono::milliseconds orphan_period{1};

/// True while a LightThread is being made: SPDK asks who polls the new thread.
thread_local bool making_own = false;
/// The threads SPDK makes go to this engine's.
LightThreads* running = nullptr;

const char local_key = 0;

}  // namespace

LightThread::LightThread(const std::string& name, std::shared_ptr<spdkio::detail::Mailbox> home)
    : home_(std::move(home)) {
  making_own = true;
  thread_ = ::spdk_thread_create(name.c_str(), nullptr);
  making_own = false;
  if (thread_ == nullptr) {
    throw Error(std::errc::not_enough_memory, "SPDK has no room for another thread")
        .with_operation("spdk_thread_create")
        .with_device(name)
        .with_hint("give it more memory: mem_size");
  }
}

PollResult LightThread::poll() noexcept {
  if (polled_.test_and_set(std::memory_order_acquire)) return PollResult::idle;
  bool busy = false;
  if (!ended_.load(std::memory_order_relaxed)) {
    busy = ::spdk_thread_poll(thread_, 0, 0) > 0 || in_flight_ > 0;
  }
  polled_.clear(std::memory_order_release);
  return busy ? PollResult::busy : PollResult::idle;
}

void LightThread::end() noexcept {
  while (polled_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  if (!ended_.load(std::memory_order_relaxed)) {
    ::spdk_set_thread(thread_);
    ::spdk_thread_exit(thread_);
    while (!::spdk_thread_is_exited(thread_)) ::spdk_thread_poll(thread_, 0, 0);
    ::spdk_thread_destroy(thread_);
    ::spdk_set_thread(nullptr);
    ended_.store(true, std::memory_order_release);
  }
  polled_.clear(std::memory_order_release);
}

LightThreads::LightThreads() {
  running = this;
  const int rc =
      ::spdk_thread_lib_init_ext(on_operation, [](spdk_thread_op) { return true; }, 0, SPDK_DEFAULT_MSG_MEMPOOL_SIZE);
  if (rc != 0) {
    running = nullptr;
    throw Error::from_errno(-rc, "SPDK's thread library does not start")
        .with_operation("spdk_thread_lib_init_ext")
        .with_hint("give it more memory: mem_size");
  }
}

LightThreads::~LightThreads() {
  poll_foreign();
  for (spdk_thread* thread : foreign_) log::error("SPDK's thread '{}' did not end", ::spdk_thread_get_name(thread));
  for (auto thread = threads_.rbegin(); thread != threads_.rend(); ++thread) (*thread)->end();
  threads_.clear();
  ::spdk_thread_lib_fini();
  running = nullptr;
}

int LightThreads::on_operation(spdk_thread* thread, spdk_thread_op operation) noexcept {
  // A change of the cpumask is not followed: SPDK's own threads stay on the control Thread.
  if (operation != SPDK_THREAD_OP_NEW || making_own) return 0;
  const std::lock_guard lock(running->mutex_);
  running->adopted_.push_back(thread);
  return 0;
}

LightThread& LightThreads::here() {
  auto& core = spdkio::detail::ThreadCore::require_current("SPDK");
  auto& local = core.local(&local_key);
  if (local != nullptr) {
    auto& known = *static_cast<LightThread*>(local.get());
    if (!known.has_ended()) return known;
  }
  auto made = std::make_shared<LightThread>(core.name(), core.mailbox());
  {
    const std::lock_guard lock(mutex_);
    threads_.push_back(made);
  }
  // The node stays with the Thread; once the SPDK thread has ended it only pauses itself.
  auto node_of = std::make_shared<std::weak_ptr<spdkio::detail::PollerNode>>();
  auto node = std::make_shared<spdkio::detail::PollerNode>(
      [made, node_of] {
        if (!made->has_ended()) [[likely]]
          return made->poll();
        if (const auto self = node_of->lock()) self->pause();
        return PollResult::idle;
      },
      PollerOptions{.name = "spdk_thread"});
  *node_of = node;
  node->register_on(core);
  local = made;
  return *made;
}

void LightThreads::end_orphans() noexcept {
  std::vector<std::shared_ptr<LightThread>> orphans;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(threads_, [&](const auto& thread) {
      if (thread->home()->state() != ThreadState::exited) return false;
      orphans.push_back(thread);
      return true;
    });
  }
  for (const auto& orphan : orphans) orphan->end();
}

PollResult LightThreads::poll_foreign() noexcept {
  {
    const std::lock_guard lock(mutex_);
    foreign_.insert(foreign_.end(), adopted_.begin(), adopted_.end());
    adopted_.clear();
  }
  bool busy = false;
  for (std::size_t i = 0; i < foreign_.size();) {
    spdk_thread* const thread = foreign_[i];
    if (::spdk_thread_poll(thread, 0, 0) > 0) busy = true;
    if (::spdk_thread_is_exited(thread)) {
      ::spdk_thread_destroy(thread);
      foreign_.erase(foreign_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  const std::uint64_t now = ticks();
  if (ns_from_ticks(now - last_look_) > orphan_period) {
    last_look_ = now;
    end_orphans();
  }
  return busy ? PollResult::busy : PollResult::idle;
}

}  // namespace spdkio::spdk
