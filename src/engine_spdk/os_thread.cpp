#include "engine_spdk/os_thread.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <pthread.h>

#include <csignal>
#include <cstdint>
#include <utility>

namespace spdkio::spdk {

OsThread::OsThread(Options options) : options_(std::move(options)) {
  sigset_t blocked;
  sigset_t before;
  ::sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&blocked, fault);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  os_thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  up_.wait(false);
  if (failure_ == nullptr) return;
  os_thread_.join();
  std::rethrow_exception(failure_);
}

OsThread::~OsThread() {
  stopping_ = true;
  handle_.mailbox()->wake();
  os_thread_.join();
}

void OsThread::run() {
  ::pthread_setname_np(::pthread_self(), options_.os_name.c_str());
  Thread thread = Thread::attach(options_.name);
  handle_ = thread.handle();
  try {
    options_.set_up();
  } catch (...) {
    failure_ = std::current_exception();
    options_.tear_down();
  }
  const bool failed = failure_ != nullptr;
  up_ = true;
  up_.notify_all();
  if (failed) return;

  auto& core = *spdkio::detail::ThreadCore::current();
  std::uint64_t last_work = ticks();
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (thread.poll() != 0) {
      last_work = core.batch_ticks();
    } else if (ns_from_ticks(ticks() - last_work) > options_.idle_spin) {
      core.wait(std::chrono::nanoseconds{-1});
    }
  }
  try {
    thread.close();
  } catch (const Error& error) {
    log::error("thread '{}' does not end in order: {}", options_.name, error.what());
  }
  options_.tear_down();
}

}  // namespace spdkio::spdk
