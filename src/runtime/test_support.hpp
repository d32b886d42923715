// What the tests of this folder share.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SPDKIO_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPDKIO_TEST_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SPDKIO_TEST_TSAN 1
#endif
#endif
#if defined(SPDKIO_TEST_ASAN)
#include <sanitizer/lsan_interface.h>
#endif

namespace spdkio::runtime_test {

using namespace std::chrono_literals;

#if defined(SPDKIO_TEST_ASAN) || defined(SPDKIO_TEST_TSAN)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// Runs the coroutine function `body` to its end on a Thread of its own.
template <class F>
auto run(F body) {
  return block_on(body());
}

/// Collects log lines while it lives.
class LogCapture {
 public:
  LogCapture() {
    log::set_sink([this](log::Level, std::string_view text) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(text);
    });
  }
  ~LogCapture() { log::set_sink({}); }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const auto& line : lines_) all += line + "\n";
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// An OS thread that acts as a Thread until it is stopped or destroyed; `close` ends what still runs there.
class OsThread {
 public:
  explicit OsThread(std::string name = "other") {
    std::promise<ThreadHandle> attached;
    auto handle = attached.get_future();
    os_thread_ = std::thread([this, name = std::move(name), &attached] {
      auto thread = Thread::attach(name);
      attached.set_value(thread.handle());
      thread.run_until([this] { return stop_; });
      thread.close();
    });
    handle_ = handle.get();
  }
  ~OsThread() { stop(); }
  void stop() {
    if (!os_thread_.joinable()) return;
    EXPECT_TRUE(handle_.send([this] { stop_ = true; }));
    os_thread_.join();
  }
  const ThreadHandle& handle() const { return handle_; }

 private:
  ThreadHandle handle_;
  bool stop_ = false;  // its Thread only
  std::thread os_thread_;
};

/// What is allocated while it lives, on this OS thread, is left behind on purpose.
class LeaksOnPurpose {
 public:
#if defined(SPDKIO_TEST_ASAN)
  LeaksOnPurpose() { __lsan_disable(); }
  ~LeaksOnPurpose() { __lsan_enable(); }
#else
  LeaksOnPurpose() {}
  ~LeaksOnPurpose() {}
#endif
};

/// The code of the Error that `f` throws; no code when it throws none.
template <class F>
std::error_code error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  return {};
}

inline bool is_cancelled(const Error& error) { return error.code() == std::errc::operation_canceled; }

}  // namespace spdkio::runtime_test
