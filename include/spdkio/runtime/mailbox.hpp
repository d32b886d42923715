// How anything outside a Thread reaches it: a queue of messages that any OS thread may push to and wake.
#pragma once

#include <spdkio/base/unique_fd.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace spdkio {

/// Identifies a Thread for the life of the process; never reused.
enum class ThreadId : std::uint64_t {};

enum class ThreadState : std::uint8_t {
  running,  ///< takes messages and runs tasks
  exiting,  ///< asked to end; runs what it has to its end
  exited    ///< refuses messages; only the name and id remain
};

namespace detail {

/// A unit of work for another Thread. The node is owned by whoever pushes it until `run` or `abandon` is called,
/// exactly one of which happens: `run` on the target Thread, `abandon` when the Thread ended first.
class Message {
 public:
  virtual void run() noexcept = 0;
  virtual void abandon() noexcept = 0;

 protected:
  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() = default;

 private:
  friend class Mailbox;
  Message* next_ = nullptr;
};

/// What a Thread is doing just now, for whoever watches it from outside. The owner stores, relaxed; nobody else writes
/// but `slow_round`.
struct ThreadPulse {
  std::atomic<std::uint64_t> rounds{0};      ///< odd inside a poll, even between two
  std::atomic<const char*> activity{""};     ///< a literal: "task", "poller", ...
  std::atomic<std::source_location> task{};  ///< of the coroutine, while the activity is a task
  /// The round that a watcher found to take too long: asks the owner to say, once the piece of work has ended, what it
  /// was. 0: none.
  std::atomic<std::uint64_t> slow_round{0};
};

/// Shared by a Thread and every handle to it, and outlives the Thread: pushing to an ended Thread is an answer, not a
/// crash. Lock-free: a stack of messages in one atomic word, turned around by the receiver; a marked word means closed.
class Mailbox {
 public:
  Mailbox(ThreadId id, std::string name);
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Any OS thread. False when the Thread has ended: the message was not taken.
  bool push(Message& message) noexcept;
  /// Any OS thread: makes the Thread's `fd` readable if it sleeps.
  void wake() noexcept;
  /// Any OS thread: nothing is taken any more.
  bool closed() const noexcept;

  /// Owner only. Runs the messages that were there at the call, in the order of their pushing; returns how many.
  std::size_t drain() noexcept;
  /// Owner only. Refuses all later pushes and abandons what is queued.
  void close() noexcept;
  bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == nullptr; }

  /// Owner only. After `arm` returns true the next push makes `event_fd` readable; false: messages are waiting.
  bool arm() noexcept;
  void disarm() noexcept;
  /// Owner only. Makes `event_fd` readable until the next `arm`: a poll is due.
  void signal() noexcept;
  int event_fd() const noexcept { return event_fd_.get(); }

  ThreadId id() const noexcept { return id_; }
  const std::string& name() const noexcept { return name_; }
  ThreadState state() const noexcept { return state_.load(std::memory_order_acquire); }
  /// Any OS thread: from running to exiting.
  void start_exiting() noexcept;
  /// Blocks the calling OS thread until the Thread has ended.
  void wait_exited() const noexcept;
  /// Pushes `message` to `to` when the Thread has ended; false if it has already.
  bool notify_exit(Message& message, std::shared_ptr<Mailbox> to);
  ThreadPulse& pulse() noexcept { return pulse_; }
  const ThreadPulse& pulse() const noexcept { return pulse_; }

 private:
  static Message* oldest_first(Message* newest) noexcept;
  void write_event() noexcept;
  void read_owed() noexcept;

  // Written once.
  const ThreadId id_;
  const std::string name_;
  UniqueFd event_fd_;
  // Owner only: how much was, or will very soon be, written to `event_fd` and is not read yet.
  std::uint64_t owed_ = 0;
  // Written by any thread.
  alignas(64) std::atomic<Message*> head_{nullptr};
  std::atomic<bool> sleeping_{false};
  std::atomic<ThreadState> state_{ThreadState::running};
  std::mutex exit_mutex_;
  std::vector<std::pair<Message*, std::shared_ptr<Mailbox>>> exit_waiters_;
  // Written by the owner all the time: a cache line of its own.
  alignas(64) ThreadPulse pulse_;
};

}  // namespace detail
}  // namespace spdkio
