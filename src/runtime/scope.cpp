#include <spdkio/runtime/frame_cache.hpp>
#include <spdkio/runtime/scope.hpp>

#include <spdkio/base/log.hpp>

#include <utility>

namespace spdkio {
namespace detail {

ScopeState::ScopeState(std::string scope_name)
    : name(std::move(scope_name)), home(ThreadCore::require_current("Scope").mailbox()) {}

void ScopeState::task_started(TaskNode& node) { tasks.add(node); }

std::coroutine_handle<> ScopeState::task_ended(TaskNode& node, std::exception_ptr failure) noexcept {
  tasks.remove(node);
  if (failure) {
    if (!first_failure) first_failure = std::move(failure);
    stop.request_stop();
  }
  if (!tasks.empty() || !joiner) return std::noop_coroutine();
  ErrorScope::set_current(joiner_scope);
  return std::exchange(joiner, nullptr);
}

}  // namespace detail

namespace {

/// A scope comes and goes like a coroutine's frame, often within one I/O: its memory is theirs.
template <class T>
struct FrameAllocator {
  using value_type = T;
  FrameAllocator() = default;
  template <class U>
  FrameAllocator(const FrameAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return static_cast<T*>(detail::allocate_frame(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept { detail::free_frame(memory, count * sizeof(T)); }
  bool operator==(const FrameAllocator&) const noexcept { return true; }
};

}  // namespace

Scope::Scope(std::string name)
    : state_(std::allocate_shared<detail::ScopeState>(FrameAllocator<detail::ScopeState>{}, std::move(name))) {}

Scope::~Scope() {
  state_->stop.unlink_from_parent();
  if (state_->tasks.empty()) {
    if (state_->first_failure) {
      log::error("scope '{}' was destroyed without a join; a task of it had failed: {}", state_->name,
                 detail::error_from(state_->first_failure).what());
    }
    return;
  }
  log::critical("scope '{}' was destroyed without a join while {} task(s) run; they are asked to stop: {}",
                state_->name, state_->tasks.size(), describe(state_->tasks.snapshot()));
  state_->stop.request_stop();
}

void Scope::start(std::coroutine_handle<detail::ScopeTask::promise_type> task, std::string name,
                  std::source_location where) {
  auto& promise = task.promise();
  try {
    require_home("Scope::spawn");
    if (state_->stop.stop_requested()) {
      throw Error(std::errc::operation_canceled, "the scope was asked to stop")
          .with_operation("Scope::spawn")
          .with_outcome(Outcome::never_submitted);
    }
  } catch (...) {
    task.destroy();
    throw;
  }
  promise.state = state_;
  promise.promise = &promise;
  promise.name = std::move(name);
  promise.spawned_at = where;
  promise.set_stop_state(&state_->stop);
  promise.set_waiting_on("ready");
  state_->task_started(promise);
  promise.set_task(promise.name, promise.spawned_at);
  detail::resume_inside(task, &promise);
}

void Scope::require_home(const char* operation) const {
  const auto* core = detail::ThreadCore::current();
  if (core != nullptr && core->mailbox() == state_->home) return;
  throw Error(Misuse::wrong_thread, "the scope '" + state_->name + "' belongs to thread '" + state_->home->name() + "'")
      .with_operation(operation);
}

bool Scope::suspend_joiner(std::coroutine_handle<> handle, detail::PromiseBase* promise) {
  require_home("Scope::join");
  if (state_->joiner) {
    throw Error(Misuse::invalid_argument, "another task joins this scope already").with_operation("Scope::join");
  }
  if (promise != nullptr) {
    state_->stop.link_to(promise->stop_state());
    promise->set_waiting_on("Scope::join");
    if (state_->tasks.empty()) return false;  // an inherited stop ended them all
  }
  state_->joiner = handle;
  state_->joiner_scope = promise;
  return true;
}

void Scope::finish_join() {
  state_->stop.unlink_from_parent();
  if (state_->first_failure) detail::rethrow_joined(std::exchange(state_->first_failure, nullptr));
}

}  // namespace spdkio
