// Reactor: one OS thread that polls the Threads placed on its core, and sleeps when they have nothing to do.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace spdkio::embedded {

/// How the reactors of a group wait; any OS thread.
struct IdlePolicy {
  std::atomic<PollMode> mode{PollMode::adaptive};
  std::uint64_t spin_ticks = 0;  ///< fixed before the first reactor runs
};

class Reactor {
 public:
  Reactor(CoreId core, const IdlePolicy& policy);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor();

  // ---- any OS thread
  CoreId core() const noexcept { return core_; }
  /// Runs `fn` once on the reactor, outside any Thread. False when the reactor has ended.
  bool send_event(std::move_only_function<void()> fn);
  /// Gives the reactor a Thread to poll. False when the reactor has ended.
  bool place(std::shared_ptr<detail::ThreadCore> thread);
  std::size_t thread_count() const;
  engine::ReactorInfo info() const;
  /// Signal-safe: `on_stop_request` will be called on the reactor, once.
  void request_stop() noexcept;
  /// Looks at the idle policy again.
  void reconsider();

  // ---- before `run`
  void on_stop_request(std::function<void()> fn) { on_stop_request_ = std::move(fn); }

  /// Polls on the calling OS thread until `finish` was called.
  void run() noexcept;

  // ---- stages of an orderly stop, each asked for on any OS thread and carried out by the reactor
  /// Asks every task of every Thread to stop, also of those that are placed later.
  void stop_tasks();
  /// Hands the reactor a token that asks whether all is quiet. It is passed on, by `pass_on(quiet)` on the reactor, at
  /// the first moment when every Thread here has no task, no open channel and no message left. `quiet` stays true if
  /// nothing has been done here since the reactor last passed it on.
  void take_token(bool quiet, std::function<void(bool quiet)> pass_on);
  /// Ends the Threads; `run` then returns.
  void finish();

 private:
  class FunctionMessage;
  struct Token {
    bool quiet;
    std::function<void(bool)> pass_on;
  };

  bool post(std::move_only_function<void()> fn, bool counts_as_work);
  std::size_t poll_threads() noexcept;
  void account(std::uint64_t now) noexcept;
  void adopt(std::shared_ptr<detail::ThreadCore> thread);
  void remove(std::size_t index);
  void forget(const ThreadHandle& handle);
  void wait(std::chrono::nanoseconds limit) noexcept;
  bool drained() const noexcept;
  void log_what_remains() const;
  static void ask_to_stop(const std::shared_ptr<detail::ThreadCore>& thread);

  // Fixed after construction.
  const CoreId core_;
  const IdlePolicy& policy_;
  UniqueFd epoll_fd_;
  std::function<void()> on_stop_request_;

  // Any thread.
  detail::Mailbox inbox_;
  std::atomic<bool> stop_requested_{false};
  std::atomic<bool> sleeping_{false};
  std::atomic<std::uint64_t> busy_ticks_{0};  // written by the reactor only
  std::atomic<std::uint64_t> idle_ticks_{0};
  mutable std::mutex handles_mutex_;
  std::vector<ThreadHandle> handles_;  // placed and not ended, for lists and for choosing a reactor

  // The reactor only.
  std::vector<std::shared_ptr<detail::ThreadCore>> threads_;
  detail::ThreadCore* last_polled_ = nullptr;
  std::uint64_t last_stamp_ = 0;
  bool last_busy_ = false;
  bool stop_seen_ = false;
  bool stopping_tasks_ = false;
  bool worked_since_token_ = true;
  bool finished_ = false;
  std::optional<Token> token_;
};

}  // namespace spdkio::embedded
