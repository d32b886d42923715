#include "engine_spdk/control.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <pthread.h>
#include <spdk/env.h>

#include <csignal>
#include <string>

namespace spdkio::spdk {
namespace {

/// How long it spins after its last work where reactors never sleep: it has no core of its own, and would take half of
/// a reactor's where that is one of two hardware threads.
constexpr std::chrono::milliseconds busy_spin{100};

}  // namespace

Control::Control(std::string name, PollMode poll_mode, std::chrono::microseconds idle_spin,
                 std::function<void()> set_up)
    : name_(std::move(name)), idle_spin_(poll_mode == PollMode::busy ? busy_spin : idle_spin) {
  // It, and the OS threads that DPDK starts from it, handle no signals: those are for the program's.
  sigset_t blocked;
  sigset_t before;
  ::sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&blocked, fault);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  os_thread_ = std::thread([this, &set_up] { run(set_up); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  up_.wait(false);
  if (failure_ == nullptr) return;
  os_thread_.join();
  std::rethrow_exception(failure_);
}

Control::~Control() {
  stopping_ = true;
  handle_.mailbox()->wake();
  os_thread_.join();
}

void Control::run(const std::function<void()>& set_up) {
  std::optional<Thread> thread;
  std::optional<Poller> foreign;
  try {
    set_up();
    // The environment has bound this OS thread to a reactor's core, where it would be in the way.
    ::spdk_unaffinitize_thread();
    ::pthread_setname_np(::pthread_self(), "spdk/control");
    thread.emplace(Thread::attach("spdk_control"));
    handle_ = thread->handle();
    threads_.emplace();
    app_ = &threads_->here();
    foreign.emplace([this] { return threads_->poll_foreign(); }, PollerOptions{.name = "spdk_own_threads"});
  } catch (...) {
    failure_ = std::current_exception();
    foreign.reset();
    threads_.reset();
    thread.reset();
  }
  const bool failed = failure_ != nullptr;
  up_ = true;
  up_.notify_all();
  if (failed) return;

  auto& core = *spdkio::detail::ThreadCore::current();
  std::uint64_t last_work = ticks();
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (thread->poll() != 0) {
      last_work = core.batch_ticks();
    } else if (ns_from_ticks(ticks() - last_work) > idle_spin_) {
      core.wait(std::chrono::nanoseconds{-1});
    }
  }
  try {
    thread->close();
  } catch (const Error& error) {
    log::error("the control thread of SPDK does not end in order: {}", error.what());
  }
  foreign.reset();
  threads_.reset();
}

}  // namespace spdkio::spdk
