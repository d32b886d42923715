// Thread: a light scheduling context with its own messages, tasks, timers and pollers; and the handles that reach it.
#pragma once

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/join_handle.hpp>
#include <spdkio/runtime/task.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace spdkio {

class Thread;

/// Reaches a Thread from anywhere. A small copyable value; any OS thread may use it, also after the Thread has ended:
/// sending then gives an Error that names the Thread.
class ThreadHandle {
 public:
  ThreadHandle() = default;
  explicit ThreadHandle(std::shared_ptr<detail::Mailbox> mailbox) noexcept : mailbox_(std::move(mailbox)) {}

  explicit operator bool() const noexcept { return mailbox_ != nullptr; }
  ThreadId id() const;
  const std::string& name() const;
  ThreadState state() const;
  bool operator==(const ThreadHandle&) const = default;
  /// True when the caller runs on that Thread now.
  bool is_current() const noexcept;

  /// Runs `fn` on the Thread soon, after what was sent before from the same OS thread. The function object is destroyed
  /// there. An exception that leaves it is logged. The error is ESRCH when the Thread has ended.
  Result<> send(std::move_only_function<void()> fn) const;

  /// `co_await handle.call(fn)`: runs `fn` on that Thread and gives its result back on the caller's. `fn` may be a
  /// plain function or return a Task, which then runs there and hears of stop requests made here. Throws what it
  /// throws; ESRCH when the Thread has ended. The function object is destroyed here. Its memory comes from the frame
  /// cache.
  template <class F>
  auto call(F&& fn) const;

  /// Starts a task there; see Thread::spawn.
  template <class T>
  JoinHandle<T> spawn(Task<T> task, std::string name = {},
                      std::source_location where = std::source_location::current()) const {
    require();
    auto state = std::make_shared<detail::JoinState<T>>();
    auto spawned = detail::run_spawned(std::move(task), state);
    detail::launch(spawned, state, mailbox_, std::move(name), where);
    return JoinHandle<T>{std::move(state)};
  }

  /// Lookups among the Threads that have not ended. Any OS thread.
  static std::optional<ThreadHandle> find(std::string_view name);
  static std::optional<ThreadHandle> find(ThreadId id);
  static std::vector<ThreadHandle> all();

  const std::shared_ptr<detail::Mailbox>& mailbox() const noexcept { return mailbox_; }

 private:
  void require() const;
  std::shared_ptr<detail::Mailbox> mailbox_;
};

/// The Thread that the calling code runs on.
namespace CurrentThread {
/// True inside tasks, messages and pollers, and on an OS thread that attached a Thread.
bool exists() noexcept;
/// The functions below throw Misuse::wrong_thread when `exists()` is false.
ThreadHandle handle();
const std::string& name();
ThreadId id();
template <class T>
JoinHandle<T> spawn(Task<T> task, std::string name = {}, std::source_location where = std::source_location::current()) {
  return handle().spawn(std::move(task), std::move(name), where);
}
/// Every task that was spawned here and has not ended.
std::vector<RunningTask> running_tasks();
}  // namespace CurrentThread

/// Owns a Thread. Two kinds: one placed on a reactor of the running engine (`create`), which polls it; and one attached
/// to an OS thread of the caller's (`attach`), who polls it, directly or from a foreign event loop with `fd`.
class Thread {
 public:
  /// Makes the calling OS thread act as a new Thread until the object is closed or destroyed, on the same OS thread.
  /// Needs no engine. Throws Misuse::already_started when the OS thread already acts for one.
  static Thread attach(std::string name);
  /// A Thread on one of the engine's reactors whose core is in `cpumask` (empty: any); the least loaded is taken.
  /// Throws Misuse::not_started without an engine, Misuse::invalid_argument when no reactor's core is in the mask.
  static Thread create(std::string name, CpuSet cpumask = {});

  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&&) = delete;
  /// Attached: asks its tasks to stop, runs what is ready and closes; names in the log what was still running, tells
  /// who joins it, and leaves those frames alone for ever: prefer `close`. On a reactor: asks it to end and does not
  /// wait. Destroying an attached Thread on another OS thread, or inside itself, is logged, and it stays as it is.
  ~Thread();

  ThreadHandle handle() const;
  ThreadId id() const { return handle().id(); }
  const std::string& name() const;
  ThreadState state() const { return handle().state(); }

  /// Starts `task` on this Thread; from any OS thread. `name` shows up in listings.
  template <class T>
  JoinHandle<T> spawn(Task<T> task, std::string name = {},
                      std::source_location where = std::source_location::current()) const {
    return handle().spawn(std::move(task), std::move(name), where);
  }

  /// Attached only, on its OS thread: one round of work; returns how much was done, 0 when idle. Misuse::wrong_thread
  /// elsewhere.
  std::size_t poll();
  /// Attached only: a descriptor that is readable whenever `poll` has something to do, for a foreign event loop.
  /// Calling it costs one kernel timer; owned by the Thread. Poll once after the call.
  int fd();
  /// Attached only: polls, sleeping when idle, until `done` returns true. What makes it true must happen on this
  /// Thread: nothing else wakes it.
  void run_until(const std::function<bool()>& done);

  /// Ends the Thread: asks its tasks to stop and waits until all have ended and every channel was given back. Attached:
  /// polls on the calling OS thread. On a reactor: blocks, and refuses on a reactor with Misuse::would_block.
  void close();
  /// The same for a Thread on a reactor, awaited from another Thread.
  Task<> exit();

 private:
  explicit Thread(std::shared_ptr<detail::ThreadCore> core, bool attached) noexcept
      : core_(std::move(core)), attached_(attached) {}
  detail::ThreadCore& require_attached(const char* operation) const;
  void request_exit() const;
  std::shared_ptr<detail::ThreadCore> core_;
  bool attached_;
};

namespace detail {

/// `co_await resume_on(handle)`.
class ResumeOnAwaiter final : Message {
 public:
  explicit ResumeOnAwaiter(ThreadHandle target) noexcept : target_(std::move(target)) {}
  ResumeOnAwaiter(const ResumeOnAwaiter& other) noexcept : target_(other.target_) {}
  bool await_ready() const noexcept { return target_.is_current(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    if constexpr (std::derived_from<Promise, PromiseBase>) {
      static_assert(
          requires { Promise::moves_between_threads; },
          "resume_on moves the Task that awaits it: write it inside a Task, not as an argument of a combinator "
          "or of Scope::spawn");
    }
    return suspend(waiting, promise_of(waiting));
  }
  void await_resume() const;

 private:
  bool suspend(std::coroutine_handle<> waiting, PromiseBase* promise);
  void run() noexcept override;
  void abandon() noexcept override;
  ThreadHandle target_;
  std::shared_ptr<Mailbox> origin_;
  PromiseBase* promise_ = nullptr;
  std::coroutine_handle<> handle_;
  bool refused_ = false;
};

}  // namespace detail

/// Moves the awaiting Task to another Thread; what awaits that Task stays where it is and resumes there. Objects that
/// belong to a Thread (channels, descriptors, synchronisation and its guards, scopes) stay behind: the Task must not
/// touch or destroy them there. Throws ESRCH, still on the old Thread, when the target has ended. Stop requests follow:
/// those of the old Thread are sent after the Task, and the Task is also asked to stop when the new Thread is to end,
/// which waits for it.
inline detail::ResumeOnAwaiter resume_on(ThreadHandle target) noexcept {
  return detail::ResumeOnAwaiter{std::move(target)};
}

namespace detail {

template <class R>
struct CallResult {
  using type = R;
  static constexpr bool is_task = false;
};
template <class T>
struct CallResult<Task<T>> {
  using type = T;
  static constexpr bool is_task = true;
};

template <class F>
Task<typename CallResult<std::invoke_result_t<F&>>::type> call_on(ThreadHandle target, F fn) {
  co_await resume_on(std::move(target));
  if constexpr (CallResult<std::invoke_result_t<F&>>::is_task) {
    co_return co_await fn();
  } else {
    co_return fn();
  }
}

}  // namespace detail

template <class F>
auto ThreadHandle::call(F&& fn) const {
  static_assert(
      SafeInCoAwait<F>,
      "g++ 12 destroys such a temporary closure twice inside co_await: name the function object first, or pass "
      "spdkio::moved(fn)");
  require();
  return detail::call_on<std::decay_t<F>>(*this, std::forward<F>(fn));
}

namespace detail {

/// Polls `core` on the calling OS thread until `done`, sleeping when there is nothing to do.
void drive(ThreadCore& core, const std::function<bool()>& done);

/// What the engine does for Thread::create; installed while an engine runs.
class ThreadHost {
 public:
  /// Puts a new Thread on a reactor allowed by `cpumask`. Throws Error.
  virtual std::shared_ptr<ThreadCore> place_thread(std::string name, const CpuSet& cpumask) = 0;
  static ThreadHost* current() noexcept;
  static void install(ThreadHost* host) noexcept;

 protected:
  ~ThreadHost() = default;
};

}  // namespace detail
}  // namespace spdkio
