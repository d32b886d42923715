#include "bdev_modules/file/worker_pool.hpp"

#include <pthread.h>

#include <csignal>

namespace spdkio::bdev::file {

std::shared_ptr<WorkerPool> WorkerPool::shared() {
  static std::mutex mutex;
  static std::weak_ptr<WorkerPool> pool;
  const std::lock_guard lock(mutex);
  auto held = pool.lock();
  if (held == nullptr) pool = held = std::make_shared<WorkerPool>();
  return held;
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::submit(WorkerJob& job) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (queued_ >= idle_ && threads_.size() < max_threads && !start_thread() && threads_.empty()) return false;
    jobs_.push_back(job);
    ++queued_;
  }
  wake_.notify_one();
  return true;
}

bool WorkerPool::withdraw(WorkerJob& job) noexcept {
  const std::lock_guard lock(mutex_);
  if (!jobs_.remove(job)) return false;
  --queued_;
  return true;
}

bool WorkerPool::start_thread() noexcept {
  // Signals are for the program's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    threads_.reserve(max_threads);
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), "spdkio-file");
  } catch (...) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void WorkerPool::work() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    while (jobs_.empty()) {
      if (ending_) return;
      ++idle_;
      wake_.wait(lock);
      --idle_;
    }
    WorkerJob& job = *jobs_.pop_front();
    --queued_;
    lock.unlock();
    job.execute(job);
    lock.lock();
  }
}

}  // namespace spdkio::bdev::file
