#include "engine_spdk/light_thread.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <thread>
#include <utility>

#include "runtime/poller_node.hpp"

namespace spdkio::spdk {
namespace {

/// True while a LightThread is being made: SPDK asks who polls the new thread.
thread_local bool making_own = false;
/// The threads SPDK makes go to this engine's.
LightThreads* running = nullptr;

const char local_key = 0;

/// The node of a LightThread's on its Thread, and another one that has the Thread look once a millisecond while the
/// first has no descriptor to wait for.
struct ThreadNodes {
  std::shared_ptr<LightThread> thread;
  std::weak_ptr<spdkio::detail::PollerNode> node;
  std::shared_ptr<spdkio::detail::PollerNode> napper;  // null without interrupt mode: `node` asks for naps itself
  bool watching = true;

  PollResult poll() {
    if (thread->has_ended()) [[unlikely]] {
      stop();
      return PollResult::idle;
    }
    const PollResult result = thread->poll();
    if (napper != nullptr && thread->pump().naps() == watching) change();
    return result;
  }

 private:
  void change() {
    auto& core = *spdkio::detail::ThreadCore::current();
    const int fd = thread->pump().fd();
    if (watching) {
      core.unwatch(fd);
      napper->resume();
      watching = false;
      return;
    }
    try {
      core.watch(fd);
    } catch (const Error& error) {
      log::debug("'{}' goes on to nap: {}", core.name(), error.what());
      return;
    }
    napper->pause();
    watching = true;
  }
  /// The nodes stay with the Thread, but do nothing more.
  void stop() {
    if (napper != nullptr) {
      if (watching) spdkio::detail::ThreadCore::current()->unwatch(thread->pump().fd());
      napper->pause();
    }
    if (const auto self = node.lock()) self->pause();
  }
};

/// The poll groups of SPDK's target pause no pollers. Others of its threads do (a raid's, that rebuilds slowly).
ThreadPump::Return return_of(spdk_thread* thread) {
  const std::string_view name = ::spdk_thread_get_name(thread);
  return name.starts_with("nvmf_tgt_poll_group_") ? ThreadPump::Return::tried : ThreadPump::Return::never;
}

}  // namespace

spdk_thread* LightThread::create(const std::string& name) {
  making_own = true;
  spdk_thread* const thread = ::spdk_thread_create(name.c_str(), nullptr);
  making_own = false;
  if (thread == nullptr) {
    throw Error(std::errc::not_enough_memory, "SPDK has no room for another thread")
        .with_operation("spdk_thread_create")
        .with_device(name)
        .with_hint("give it more memory: mem_size");
  }
  return thread;
}

LightThread::LightThread(const std::string& name, std::shared_ptr<spdkio::detail::Mailbox> home, InterruptUse use)
    : thread_(create(name)), pump_(thread_, use, ThreadPump::Return::tried), home_(std::move(home)) {}

PollResult LightThread::poll() noexcept {
  if (polled_.test_and_set(std::memory_order_acquire)) return PollResult::idle;
  bool busy = false;
  if (!ended_.load(std::memory_order_relaxed)) busy = pump_.poll(in_flight_ > 0);
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

InterruptUse LightThreads::enable(bool interrupt_mode) {
  if (interrupt_mode) {
    // SPDK takes it only between two starts of its thread library.
    if (!::spdk_interrupt_mode_is_enabled() && ::spdk_interrupt_mode_enable() != 0) {
      throw Error(Misuse::already_started, "SPDK's interrupt mode can't be enabled")
          .with_operation("spdk_interrupt_mode_enable");
    }
    return InterruptUse::according;
  }
  if (!::spdk_interrupt_mode_is_enabled()) return InterruptUse::off;
  log::warn(
      "SPDK's interrupt mode was enabled by an earlier start in this process and stays: its NVMe bdevs go on to refuse "
      "all transports but PCIe");
  return InterruptUse::forgone;
}

void LightThreads::Bell::ring() noexcept {
  rung.store(true, std::memory_order_release);
  if (fd) ::eventfd_write(fd.get(), 1);
}

bool LightThreads::Bell::heard() noexcept {
  if (!rung.load(std::memory_order_relaxed)) [[likely]]
    return false;
  // Read before the flag: a ring in between is heard once more, never missed.
  eventfd_t ignored = 0;
  if (fd) ::eventfd_read(fd.get(), &ignored);
  return rung.exchange(false, std::memory_order_acq_rel);
}

LightThreads::LightThreads(bool interrupt_mode) : use_(enable(interrupt_mode)), bell_(std::make_shared<Bell>()) {
  if (use_ == InterruptUse::according) {
    foreign_fd_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    bell_->fd = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (!foreign_fd_ || !bell_->fd || ::epoll_ctl(foreign_fd_.get(), EPOLL_CTL_ADD, bell_->fd.get(), &event) != 0) {
      throw Error::from_errno(errno, "no descriptors to wait for SPDK's threads with");
    }
  }
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
  for (const Foreign& foreign : foreign_) {
    log::error("SPDK's thread '{}' did not end", ::spdk_thread_get_name(foreign.thread));
  }
  for (auto thread = threads_.rbegin(); thread != threads_.rend(); ++thread) (*thread)->end();
  threads_.clear();
  ::spdk_thread_lib_fini();
  running = nullptr;
}

int LightThreads::on_operation(spdk_thread* thread, spdk_thread_op operation) noexcept {
  // A change of the cpumask is not followed: SPDK's own threads stay on the control Thread.
  if (operation != SPDK_THREAD_OP_NEW || making_own) return 0;
  {
    const std::lock_guard lock(running->mutex_);
    running->adopted_.push_back(thread);
  }
  running->bell_->ring();
  return 0;
}

LightThread& LightThreads::here() {
  auto& core = spdkio::detail::ThreadCore::require_current("SPDK");
  auto& local = core.local(&local_key);
  if (local != nullptr) {
    auto& known = *static_cast<LightThread*>(local.get());
    if (!known.has_ended()) return known;
  }
  auto made = std::make_shared<LightThread>(core.name(), core.mailbox(), use_);
  {
    const std::lock_guard lock(mutex_);
    threads_.push_back(made);
  }
  using spdkio::detail::PollerNode;
  auto nodes = std::make_shared<ThreadNodes>();
  nodes->thread = made;
  const int fd = made->pump().fd();
  auto node = std::make_shared<PollerNode>([nodes] { return nodes->poll(); },
                                           PollerOptions{.name = "spdk_thread", .wake_fd = fd});
  nodes->node = node;
  node->register_on(core);
  if (fd >= 0) {
    nodes->napper =
        std::make_shared<PollerNode>([] { return PollResult::idle; }, PollerOptions{.name = "spdk_thread_nap"});
    nodes->napper->register_on(core);
    nodes->napper->pause();
  }
  LightThread& thread = *made;
  local = std::shared_ptr<void>(&thread, [made = std::move(made), bell = bell_](void*) {
    made->abandon();
    bell->ring();
  });
  return thread;
}

void LightThreads::end_orphans() noexcept {
  std::vector<std::shared_ptr<LightThread>> orphans;
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(threads_, [&](const auto& thread) {
      if (!thread->abandoned()) return false;
      if (thread->home()->state() != ThreadState::exited) {
        more = true;  // it is about to
        return false;
      }
      orphans.push_back(thread);
      return true;
    });
  }
  for (const auto& orphan : orphans) orphan->end();
  if (more) bell_->ring();
}

void LightThreads::adopt() noexcept {
  const std::lock_guard lock(mutex_);
  for (spdk_thread* const thread : adopted_) {
    foreign_.push_back({thread, std::make_unique<ThreadPump>(thread, use_, return_of(thread))});
    watch(foreign_.back());
  }
  adopted_.clear();
}

/// As the pump has it; one that can't be watched has the control Thread nap.
void LightThreads::watch(Foreign& foreign) noexcept {
  const int fd = foreign.pump->fd();
  if (fd < 0 || foreign.pump->naps() != foreign.watched) return;
  epoll_event event{.events = EPOLLIN, .data = {}};
  const int operation = foreign.watched ? EPOLL_CTL_DEL : EPOLL_CTL_ADD;
  if (::epoll_ctl(foreign_fd_.get(), operation, fd, &event) == 0) foreign.watched = !foreign.watched;
}

bool LightThreads::foreign_naps() const noexcept {
  return std::ranges::any_of(foreign_, [](const Foreign& foreign) { return !foreign.watched; });
}

PollResult LightThreads::poll_foreign() noexcept {
  if (bell_->heard()) {
    adopt();
    end_orphans();
  }
  bool busy = false;
  for (std::size_t i = 0; i < foreign_.size();) {
    Foreign& foreign = foreign_[i];
    if (foreign.pump->poll(false)) busy = true;
    if (::spdk_thread_is_exited(foreign.thread)) {
      ::spdk_thread_destroy(foreign.thread);
      foreign_.erase(foreign_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      watch(foreign);
      ++i;
    }
  }
  return busy ? PollResult::busy : PollResult::idle;
}

}  // namespace spdkio::spdk
