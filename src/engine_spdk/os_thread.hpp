// OsThread: an OS thread of the engine's that polls a Thread of ours.
#pragma once

#include <spdkio/runtime/thread.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <thread>

namespace spdkio::spdk {

/// For what of SPDK blocks or belongs to nobody's reactor. It sleeps when idle, and looks once a millisecond where a
/// poller asks for it. Handles no signals, and no OS thread started from it does.
class OsThread {
 public:
  struct Options {
    std::string os_name;                    ///< what the kernel calls it
    std::string name;                       ///< of the Thread
    std::chrono::microseconds idle_spin{};  ///< after its last work it looks again and again for so long
    /// Run on it, before and after everything else. What `set_up` throws is thrown by the constructor, after
    /// `tear_down` was run.
    std::function<void()> set_up;
    std::function<void()> tear_down;
  };
  explicit OsThread(Options options);
  OsThread(const OsThread&) = delete;
  OsThread& operator=(const OsThread&) = delete;
  /// Asks the tasks on it to stop, and waits for them and for it.
  ~OsThread();

  ThreadHandle handle() const { return handle_; }

 private:
  void run();

  const Options options_;
  ThreadHandle handle_;
  std::exception_ptr failure_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> up_{false};
  std::thread os_thread_;
};

}  // namespace spdkio::spdk
