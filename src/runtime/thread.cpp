#include <spdkio/runtime/thread.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/thread_table.hpp"

namespace spdkio {
namespace detail {
namespace {

std::atomic<ThreadHost*> thread_host{nullptr};

/// How long an OS thread that waits for a result looks again and again before it sleeps: a message round trip.
constexpr std::chrono::microseconds spin_before_sleep{20};

/// A destructor gives what is ready a chance to end, and no more: what needs longer is closed with `close`.
constexpr int rounds_at_destruction = 1000;

class FunctionMessage final : public Message {
 public:
  explicit FunctionMessage(std::move_only_function<void()> fn) : fn_(std::move(fn)) {}
  void run() noexcept override {
    try {
      fn_();
    } catch (...) {
      log::error("a message to thread '{}' threw: {}", ThreadCore::current()->name(),
                 Error::from_current_exception().what());
    }
    delete this;
  }
  void abandon() noexcept override { delete this; }

 private:
  std::move_only_function<void()> fn_;
};

}  // namespace

namespace {
/// Reachable, so that it is no leak to those who look for them.
void keep_for_ever(std::shared_ptr<ThreadCore> core) {
  static std::mutex mutex;
  static auto& kept = *new std::vector<std::shared_ptr<ThreadCore>>;
  const std::lock_guard lock(mutex);
  kept.push_back(std::move(core));
}
}  // namespace

ThreadHost* ThreadHost::current() noexcept { return thread_host.load(std::memory_order_acquire); }
void ThreadHost::install(ThreadHost* host) noexcept { thread_host.store(host, std::memory_order_release); }

// By the stamps that the rounds take anyway: reading the clock is the dearest part of a round with little to do.
void drive(ThreadCore& core, const std::function<bool()>& done) {
  const std::uint64_t spin = ticks_from(spin_before_sleep);
  bool idle = false;
  std::uint64_t idle_since = 0;
  while (!done()) {
    if (core.poll() != 0) {
      idle = false;
    } else if (!std::exchange(idle, true)) {
      idle_since = core.batch_ticks();
    } else if (core.batch_ticks() - idle_since > spin && !done()) {
      core.wait(std::chrono::nanoseconds{-1});
    }
  }
}

bool ResumeOnAwaiter::suspend(std::coroutine_handle<> waiting, PromiseBase* promise) {
  const auto mailbox = target_.mailbox();  // the coroutine may run, and this awaiter be gone, before push returns
  if (mailbox == nullptr || mailbox->closed()) {
    refused_ = true;
    return false;
  }
  handle_ = waiting;
  promise_ = promise;
  if (const auto* here = ThreadCore::current()) origin_ = here->mailbox();
  if (promise != nullptr) {
    promise->set_waiting_on("resume_on");
    promise->depart(mailbox);
  }
  if (mailbox->push(*this)) return true;
  refused_ = true;
  if (promise != nullptr) promise->arrive();
  return false;
}

void ResumeOnAwaiter::run() noexcept {
  if (promise_ != nullptr) promise_->arrive();
  resume_inside(handle_, promise_);
}

// On the OS thread of the target that ended: the coroutine goes back to where it came from.
void ResumeOnAwaiter::abandon() noexcept {
  const bool was_back = std::exchange(refused_, true);
  const auto origin = origin_;
  if (!was_back && origin != nullptr && origin->push(*this)) return;
  log::error("two threads ended while a task was on its way between them: the task is lost");
}

void ResumeOnAwaiter::await_resume() const {
  if (!refused_) return;
  if (!target_) throw Error(Misuse::invalid_argument, "an empty ThreadHandle").with_operation("resume_on");
  throw_thread_ended(*target_.mailbox());
}

}  // namespace detail

void ThreadHandle::require() const {
  if (mailbox_ == nullptr) throw Error(Misuse::invalid_argument, "an empty ThreadHandle");
}

ThreadId ThreadHandle::id() const {
  require();
  return mailbox_->id();
}

const std::string& ThreadHandle::name() const {
  require();
  return mailbox_->name();
}

ThreadState ThreadHandle::state() const {
  require();
  return mailbox_->state();
}

bool ThreadHandle::is_current() const noexcept {
  const auto* core = detail::ThreadCore::current();
  return core != nullptr && core->mailbox() == mailbox_;
}

Result<> ThreadHandle::send(std::move_only_function<void()> fn) const {
  if (mailbox_ == nullptr) return std::unexpected(Error(Misuse::invalid_argument, "an empty ThreadHandle"));
  auto message = std::make_unique<detail::FunctionMessage>(std::move(fn));
  if (mailbox_->push(*message)) {
    message.release();
    return {};
  }
  return std::unexpected(
      Error(std::errc::no_such_process, "thread '" + name() + "' has ended").with_operation("ThreadHandle::send"));
}

std::optional<ThreadHandle> ThreadHandle::find(std::string_view name) {
  for (auto& mailbox : detail::ThreadTable::instance().snapshot()) {
    if (mailbox->name() == name) return ThreadHandle{std::move(mailbox)};
  }
  return std::nullopt;
}

std::optional<ThreadHandle> ThreadHandle::find(ThreadId id) {
  for (auto& mailbox : detail::ThreadTable::instance().snapshot()) {
    if (mailbox->id() == id) return ThreadHandle{std::move(mailbox)};
  }
  return std::nullopt;
}

std::vector<ThreadHandle> ThreadHandle::all() {
  std::vector<ThreadHandle> handles;
  for (auto& mailbox : detail::ThreadTable::instance().snapshot()) handles.emplace_back(std::move(mailbox));
  return handles;
}

bool CurrentThread::exists() noexcept { return detail::ThreadCore::current() != nullptr; }
ThreadHandle CurrentThread::handle() {
  return ThreadHandle{detail::ThreadCore::require_current("CurrentThread").mailbox()};
}
const std::string& CurrentThread::name() { return detail::ThreadCore::require_current("CurrentThread").name(); }
ThreadId CurrentThread::id() { return detail::ThreadCore::require_current("CurrentThread").id(); }
std::vector<RunningTask> CurrentThread::running_tasks() {
  return detail::ThreadCore::require_current("CurrentThread").tasks().snapshot();
}

Thread Thread::attach(std::string name) {
  if (const auto* core = detail::ThreadCore::current()) {
    throw Error(Misuse::already_started, "this OS thread already acts for thread '" + core->name() + "'")
        .with_operation("Thread::attach");
  }
  auto core = std::make_shared<detail::ThreadCore>(std::move(name), CpuSet{});
  detail::ThreadCore::set_current(core.get());
  return Thread{std::move(core), true};
}

Thread Thread::create(std::string name, CpuSet cpumask) {
  auto* host = detail::ThreadHost::current();
  if (host == nullptr) {
    throw Error(Misuse::not_started, "no engine is running")
        .with_operation("Thread::create")
        .with_hint("start an Env or App first, or use Thread::attach");
  }
  return Thread{host->place_thread(std::move(name), cpumask), false};
}

Thread::Thread(Thread&& other) noexcept : core_(std::move(other.core_)), attached_(other.attached_) {}

Thread::~Thread() {
  if (core_ == nullptr || core_->mailbox()->state() == ThreadState::exited) return;
  if (!attached_) {
    request_exit();
    return;
  }
  const bool elsewhere = detail::ThreadCore::current() != core_.get();
  if (elsewhere || core_->polling()) {
    log::critical("thread '{}' was destroyed {}: it stays attached for ever", core_->name(),
                  elsewhere ? "on another OS thread than the one it is attached to" : "inside itself");
    detail::keep_for_ever(std::move(core_));
    return;
  }
  core_->root_stop().request_stop();
  for (int round = 0; round < detail::rounds_at_destruction && core_->poll() != 0; ++round) {
  }
  core_->finish();
}

ThreadHandle Thread::handle() const { return ThreadHandle{core_->mailbox()}; }
const std::string& Thread::name() const { return core_->name(); }

detail::ThreadCore& Thread::require_attached(const char* operation) const {
  if (!attached_) {
    throw Error(Misuse::invalid_argument, "thread '" + core_->name() + "' is polled by a reactor")
        .with_operation(operation);
  }
  if (core_->mailbox()->state() == ThreadState::exited) {
    throw Error(Misuse::already_closed, "thread '" + core_->name() + "' was closed").with_operation(operation);
  }
  if (detail::ThreadCore::current() != core_.get()) {
    throw Error(Misuse::wrong_thread, "thread '" + core_->name() + "' is attached to another OS thread")
        .with_operation(operation);
  }
  if (core_->polling()) {
    throw Error(Misuse::would_block, "called from inside thread '" + core_->name() + "'").with_operation(operation);
  }
  return *core_;
}

std::size_t Thread::poll() { return require_attached("Thread::poll").poll(); }

int Thread::fd() {
  auto& core = require_attached("Thread::fd");
  core.enable_foreign_wait();
  return core.wait_fd();
}

void Thread::run_until(const std::function<bool()>& done) {
  detail::drive(require_attached("Thread::run_until"), done);
}

void Thread::close() {
  if (core_->mailbox()->state() == ThreadState::exited) return;
  if (attached_) {
    auto& core = require_attached("Thread::close");
    core.mailbox()->start_exiting();
    core.begin_end();
    detail::drive(core, [&] { return core.drained(); });
    core.finish();
    return;
  }
  detail::refuse_to_block("Thread::close", "co_await Thread::exit() instead");
  request_exit();
  core_->mailbox()->wait_exited();
}

void Thread::request_exit() const {
  core_->mailbox()->start_exiting();
  [[maybe_unused]] const auto sent = handle().send([core = core_] { core->begin_end(); });
}

namespace detail {
namespace {

class ExitAwaiter final : Message, ReadyNode {
 public:
  explicit ExitAwaiter(Mailbox& ending) noexcept : ending_(ending) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    auto* const promise = promise_of(waiting);
    set_waiting(waiting, promise);
    if (promise != nullptr) promise->set_waiting_on("Thread::exit");
    return ending_.notify_exit(*this, ThreadCore::require_current("Thread::exit").mailbox());
  }
  void await_resume() const noexcept {}

 private:
  void run() noexcept override { ThreadCore::current()->make_ready(*this); }
  void abandon() noexcept override {}
  Mailbox& ending_;
};

}  // namespace
}  // namespace detail

Task<> Thread::exit() {
  const auto mailbox = core_->mailbox();
  if (handle().is_current()) {
    throw Error(Misuse::would_block, "thread '" + name() + "' can't wait for its own end")
        .with_operation("Thread::exit");
  }
  if (attached_) {
    throw Error(Misuse::invalid_argument, "thread '" + name() + "' is attached: its owner closes it")
        .with_operation("Thread::exit");
  }
  if (mailbox->state() == ThreadState::exited) co_return;
  request_exit();
  co_await detail::ExitAwaiter{*mailbox};
}

}  // namespace spdkio
