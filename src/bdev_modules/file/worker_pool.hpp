// WorkerPool: the OS threads for calls that block.
#pragma once

#include <spdkio/base/intrusive_queue.hpp>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace spdkio::bdev::file {

/// Something to do on a helper thread. Belongs to whoever submits it; `execute` may free it.
struct WorkerJob {
  WorkerJob* next = nullptr;
  void (*execute)(WorkerJob&) noexcept = nullptr;
};

/// One per process, while anybody holds it: threads start when jobs wait and none is idle, and end with the pool. Any
/// OS thread.
class WorkerPool {
 public:
  static std::shared_ptr<WorkerPool> shared();

  WorkerPool() = default;
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  /// Every job was executed. Must not run on a helper thread.
  ~WorkerPool();

  /// False: the system gave not even one thread, and the job was not taken.
  [[nodiscard]] bool submit(WorkerJob& job) noexcept;
  /// True: the job had not started and is the caller's again.
  bool withdraw(WorkerJob& job) noexcept;

  static constexpr std::size_t max_threads = 32;

 private:
  bool start_thread() noexcept;
  void work() noexcept;

  std::mutex mutex_;
  std::condition_variable wake_;
  IntrusiveQueue<WorkerJob> jobs_;
  std::size_t queued_ = 0;
  std::size_t idle_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace spdkio::bdev::file
