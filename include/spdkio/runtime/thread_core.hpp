// The scheduler of one Thread: ready coroutines, timers, pollers, deferred work and messages. Engines drive it; the
// public face is Thread. One OS thread at a time may be inside `poll`.
#pragma once

#include <spdkio/base/clock.hpp>
#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/probe.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/stop.hpp>
#include <spdkio/runtime/task_list.hpp>
#include <spdkio/runtime/trace_ring.hpp>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spdkio::detail {

/// A coroutine waiting for its turn; the node lives in the awaiter.
struct ReadyNode {
  std::coroutine_handle<> handle;
  ReadyNode* next_ready = nullptr;
  ErrorScope* scope = nullptr;  ///< the coroutine's; null for those of other libraries

  void set_waiting(std::coroutine_handle<> waiting, ErrorScope* its_scope) noexcept {
    handle = waiting;
    scope = its_scope;
  }
};

/// Resumes a coroutine from inside another one, or from a message.
inline void resume_inside(std::coroutine_handle<> coroutine, ErrorScope* scope) {
  ErrorScope* const outer = ErrorScope::current();
  ErrorScope::set_current(scope);
  coroutine.resume();
  ErrorScope::set_current(outer);
}

class ThreadCore;

/// Work that runs once later in the same `poll`, after the ready coroutines: what batches submissions.
struct Deferred {
  Deferred() noexcept = default;
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  /// What is still queued is not done any more.
  ~Deferred() {
    if (queued_on != nullptr) [[unlikely]]
      withdraw();
  }
  bool queued() const noexcept { return queued_on != nullptr; }
  Deferred* next_deferred = nullptr;
  ThreadCore* queued_on = nullptr;
  /// Returns how much it did, as a poller does. It may end the life of the Deferred.
  std::size_t (*run)(Deferred&) noexcept = nullptr;

 private:
  void withdraw() noexcept;
};

/// A point in time to be called at; lives in the waiting operation. Removing is O(log n).
struct TimerNode {
  std::uint64_t deadline_ticks = 0;
  std::uint64_t order = 0;  ///< of adding: timers of the same tick fire in it
  std::size_t heap_index = not_queued;
  void (*fire)(TimerNode&) noexcept = nullptr;
  static constexpr std::size_t not_queued = ~std::size_t{0};
  bool queued() const noexcept { return heap_index != not_queued; }
};

/// Binary heap of timers by deadline. The nodes belong to their owners.
class TimerHeap {
 public:
  void push(TimerNode& node);
  void remove(TimerNode& node) noexcept;
  bool empty() const noexcept { return heap_.empty(); }
  /// Only when not empty.
  std::uint64_t earliest() const noexcept { return heap_.front()->deadline_ticks; }
  /// Fires every timer due at `now_ticks`; a callback may add and remove timers.
  std::size_t run_due(std::uint64_t now_ticks) noexcept;

 private:
  void place(std::size_t index, TimerNode& node) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;
  std::vector<TimerNode*> heap_;
  std::uint64_t next_order_ = 0;
};

class PollerNode;

/// Time as a Thread sees it. Null in ThreadCore means the machine's clock; simulation supplies its own.
class ClockSource {
 public:
  virtual std::uint64_t now_ticks() noexcept = 0;

 protected:
  ~ClockSource() = default;
};

struct ThreadStats {
  std::uint64_t busy_ticks = 0;
  std::uint64_t idle_ticks = 0;
  std::uint64_t polls = 0;
  std::uint64_t active_pollers = 0;
  std::uint64_t timed_pollers = 0;
  std::uint64_t paused_pollers = 0;
  std::uint64_t tasks = 0;
  std::uint64_t resumes = 0;   ///< turns of coroutines
  std::uint64_t messages = 0;  ///< from outside
  std::uint64_t stalls = 0;    ///< rounds that took longer than the limit, while somebody watched
  std::uint64_t longest_stall_ticks = 0;
};

/// Pieces of work that held their Thread too long.
struct StallCount {
  std::string what;  ///< `poller 'name'`, `task function (file:line)`, `message`, ...
  std::uint64_t count = 0;
  std::uint64_t longest_ticks = 0;
};

/// Sleeps until a descriptor in the epoll set is readable or `duration` has passed (negative: for ever).
void sleep_on(int epoll_fd, std::chrono::nanoseconds duration) noexcept;

/// Throws Misuse::would_block inside a task, message or poller, and on a reactor.
void refuse_to_block(const char* operation, const char* hint);

class ThreadCore {
 public:
  ThreadCore(std::string name, CpuSet cpumask, ClockSource* clock = nullptr);
  ThreadCore(const ThreadCore&) = delete;
  ThreadCore& operator=(const ThreadCore&) = delete;
  ~ThreadCore();

  /// The core whose Thread the calling OS thread is acting for, or null.
  static ThreadCore* current() noexcept { return current_; }
  /// The same, or an Error that says which call needs a Thread.
  static ThreadCore& require_current(const char* operation);
  static void set_current(ThreadCore* core) noexcept { current_ = core; }

  // ---- for the owner, on the I/O path
  void make_ready(ReadyNode& node) noexcept {
    node.next_ready = nullptr;
    *ready_tail_ = &node;
    ready_tail_ = &node.next_ready;
    if (armed_) [[unlikely]]
      poke();
  }
  /// Ready in the next round: messages, timers and pollers have their turn before it.
  void make_ready_next_round(ReadyNode& node) noexcept {
    node.next_ready = nullptr;
    *yielded_tail_ = &node;
    yielded_tail_ = &node.next_ready;
    if (armed_) [[unlikely]]
      poke();
  }
  /// An operation that completed at once asks before it goes on without suspending. False: let others run first.
  bool take_inline_turn() noexcept {
    if (inline_turns_ == 0) return false;
    --inline_turns_;
    return true;
  }
  /// Around the start of a coroutine inside another: false at a depth where the stack would get long.
  bool enter_nested() noexcept {
    if (nested_ >= max_nested) return false;
    ++nested_;
    return true;
  }
  void leave_nested() noexcept { --nested_; }
  void defer(Deferred& work) noexcept {
    if (work.queued_on != nullptr) return;
    work.queued_on = this;
    work.next_deferred = nullptr;
    *deferred_tail_ = &work;
    deferred_tail_ = &work.next_deferred;
    if (armed_) [[unlikely]]
      poke();
  }
  /// The time stamp of the current poll: one clock read serves the whole batch.
  std::uint64_t batch_ticks() const noexcept { return batch_ticks_; }
  std::uint64_t read_clock() const noexcept { return clock_ == nullptr ? ticks() : clock_->now_ticks(); }

  // ---- around each piece of work, so that one that takes too long can be named
  void begin_activity(const char* what) noexcept {
    if constexpr (observable) pulse_.activity.store(what, std::memory_order_relaxed);
  }
  void end_activity(const char* what, std::string_view name = {}) noexcept {
    if (observable && pulse_.slow_round.load(std::memory_order_relaxed) != 0) [[unlikely]]
      report_stall(what, name);
  }
  void begin_task(const std::source_location& where) noexcept {
    if constexpr (observable) {
      pulse_.activity.store("task", std::memory_order_relaxed);
      pulse_.task.store(where, std::memory_order_relaxed);
    }
  }
  void end_task(const std::source_location& where) noexcept {
    if (observable && pulse_.slow_round.load(std::memory_order_relaxed) != 0) [[unlikely]]
      report_slow_task(where);
  }
  /// Those that were seen while somebody watched, by what they were.
  const std::vector<StallCount>& stalls() const noexcept { return stalls_; }

  // ---- for the owner
  void add_timer(TimerNode& node, std::chrono::nanoseconds after);
  void cancel_timer(TimerNode& node) noexcept { timers_.remove(node); }
  void add_poller(std::shared_ptr<PollerNode> poller);
  /// A poller was paused, resumed or removed.
  void pollers_changed() noexcept {
    pollers_changed_ = true;
    if (armed_) poke();
  }
  /// Makes a sleeping Thread poll when `fd` becomes readable.
  void watch(int fd);
  void unwatch(int fd) noexcept;

  /// One round: messages, timers, ready coroutines, deferred work, pollers. Returns the amount of work done; 0: idle.
  std::size_t poll() noexcept;
  bool polling() const noexcept { return polling_; }

  /// Before sleeping: true if nothing is to be done until `wait_fd` is readable or `next_wait` has passed.
  bool arm() noexcept;
  void disarm() noexcept;
  int wait_fd() const noexcept { return epoll_fd_.get(); }
  /// How long a sleeper may wait: until the next timer, or the idle period while there are pollers that nothing wakes.
  /// Negative: for ever.
  std::chrono::nanoseconds next_wait() const noexcept;
  /// Sleeps until there is something to do or `limit` has passed (negative: for ever). Returns at once if there is.
  void wait(std::chrono::nanoseconds limit) noexcept;

  /// Keeps a timer of the kernel's in `wait_fd`, so that a foreign loop needs to watch nothing but that descriptor.
  /// From then on every `poll` leaves the descriptor readable exactly when another one is due.
  void enable_foreign_wait();

  /// Keeps the Thread's recent events from now on; what was kept before is forgotten. 0 groups: no more.
  void start_trace(std::uint32_t groups, std::size_t capacity);
  /// Null: tracing is off. Otherwise of the groups that it wants.
  TraceRing* trace() const noexcept { return trace_.get(); }

  // ---- life
  const std::shared_ptr<Mailbox>& mailbox() const noexcept { return mailbox_; }
  const std::string& name() const noexcept { return mailbox_->name(); }
  ThreadId id() const noexcept { return mailbox_->id(); }
  const CpuSet& cpumask() const noexcept { return cpumask_; }
  void account(std::uint64_t elapsed_ticks, bool busy) noexcept;
  ThreadStats stats() const noexcept;
  /// Fields that other Threads' owners attach to this Thread (a per-thread ring, a cache). Destroyed with it, in
  /// reverse order of creation.
  std::shared_ptr<void>& local(const void* key);

  /// Every spawned task, for the debug listing; and the stop that reaches them all.
  StopState& root_stop() noexcept { return root_stop_; }
  TaskList& tasks() noexcept { return tasks_; }
  /// Resources that must be given back before the Thread may end (I/O channels).
  void add_reference() noexcept { ++references_; }
  void drop_reference() noexcept { --references_; }
  std::size_t references() const noexcept { return references_; }
  /// Coroutines whose home is another Thread.
  void add_visitor() noexcept { ++visitors_; }
  void drop_visitor() noexcept { --visitors_; }
  /// Asks all tasks to stop; from now on `drained` is worth asking.
  void begin_end() noexcept {
    message_rounds_ = 0;
    root_stop_.request_stop();
  }
  /// Nothing is left to be done here. Others may go on sending for ever: after some rounds in which they alone had
  /// anything for this Thread, what they send is no reason to stay.
  bool drained() const noexcept { return unused() && (mailbox_->empty() || message_rounds_ >= message_rounds_at_end); }
  /// Ends the Thread: refuses messages from now on. The owner calls it once `drained`, or gives up on what remains:
  /// that is named in the log, whoever joins a task is told that it will not end, and the frames are left alone for
  /// ever, because a device may still write into what they own.
  void finish() noexcept;

 private:
  friend struct Deferred;
  bool unused() const noexcept { return tasks_.empty() && visitors_ == 0 && references_ == 0; }
  std::size_t run_round() noexcept;
  std::size_t run_ready() noexcept;
  void run_task_traced(const ReadyNode& node) noexcept;
  void run_task(const ReadyNode& node) noexcept;
  void report_stall(const char* activity, std::string_view name) noexcept;
  void report_slow_task(const std::source_location& where) noexcept;
  std::size_t run_deferred() noexcept;
  std::size_t run_pollers() noexcept;
  void rearm_foreign_wait() noexcept;
  void poke() noexcept;

  static inline constinit thread_local ThreadCore* current_ = nullptr;
  static constexpr std::uint32_t inline_turns_per_resume = 64;
  static constexpr std::size_t ready_per_poll = 1024;
  static constexpr std::uint32_t max_nested = 128;
  static constexpr std::uint32_t message_rounds_at_end = 3;

  // Fixed after construction.
  std::shared_ptr<Mailbox> mailbox_;
  ThreadPulse& pulse_;
  CpuSet cpumask_;
  ClockSource* clock_;
  UniqueFd epoll_fd_;

  // Owner only.
  ReadyNode* ready_head_ = nullptr;
  ReadyNode** ready_tail_ = &ready_head_;
  ReadyNode* yielded_head_ = nullptr;
  ReadyNode** yielded_tail_ = &yielded_head_;
  Deferred* deferred_head_ = nullptr;
  Deferred** deferred_tail_ = &deferred_head_;
  Deferred* deferred_now_ = nullptr;  ///< what is left of the round that is being run
  std::uint64_t batch_ticks_ = 0;
  std::uint32_t inline_turns_ = 0;
  std::uint32_t nested_ = 0;
  bool polling_ = false;
  bool armed_ = false;
  TimerHeap timers_;
  std::vector<std::shared_ptr<PollerNode>> pollers_;  // all, in order of registration
  std::vector<PollerNode*> active_pollers_;           // untimed and not paused; rebuilt after a change
  bool pollers_changed_ = false;
  std::size_t sleepless_pollers_ = 0;
  UniqueFd timer_fd_;
  std::uint64_t timer_fd_deadline_ = 0;     // what it was set for; 0: nothing; 1: a period
  std::uint64_t timer_fd_early_ticks_ = 0;  // until then it can't have expired, however much the clocks differ
  StopState root_stop_;
  TaskList tasks_;
  std::size_t references_ = 0;
  std::size_t visitors_ = 0;
  std::uint32_t message_rounds_ = 0;  ///< one after the other, that found nothing but messages
  std::uint64_t busy_ticks_ = 0;
  std::uint64_t idle_ticks_ = 0;
  std::uint64_t resumes_ = 0;
  std::uint64_t messages_ = 0;
  ErrorScope scope_;  // of what is no coroutine: messages, timers, pollers
  std::unique_ptr<TraceRing> trace_;
  std::vector<StallCount> stalls_;
  std::uint64_t last_stall_log_ = 0;
  std::uint64_t unlogged_stalls_ = 0;
  std::deque<std::pair<const void*, std::shared_ptr<void>>> locals_;  // a deque: what `local` returned stays valid
};

}  // namespace spdkio::detail
