#include <spdkio/runtime/join_handle.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <utility>

namespace spdkio::detail {

void throw_thread_ended(const Mailbox& mailbox) {
  throw Error(std::errc::no_such_process, "thread '" + mailbox.name() + "' has ended");
}

void throw_thread_ended_early(const Mailbox& mailbox) {
  throw Error(std::errc::no_such_process, "thread '" + mailbox.name() + "' ended before its task did")
      .with_outcome(Outcome::may_have_executed);
}

bool JoinStateBase::set_waiter(Message& waiter, std::shared_ptr<Mailbox> mailbox) {
  const std::lock_guard lock(mutex_);
  if (done_) return false;
  waiter_ = &waiter;
  waiter_mailbox_ = std::move(mailbox);
  return true;
}

bool JoinStateBase::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void JoinStateBase::wait_blocking() {
  std::unique_lock lock(mutex_);
  if (done_) return;
  const ThreadCore* core = ThreadCore::current();
  if (core != nullptr && core->mailbox() == mailbox && !core->polling()) {
    throw Error(Misuse::would_block, "thread '" + core->name() + "' has to run the task and would not")
        .with_operation("JoinHandle::wait")
        .with_hint("run_until handle.done(), or block_on the task");
  }
  refuse_to_block("JoinHandle::wait", "co_await the handle instead");
  ended_.wait(lock, [this] { return done_; });
}

namespace {
class StopRequest final : public Message {
 public:
  explicit StopRequest(std::shared_ptr<JoinStateBase> state) : state_(std::move(state)) {}
  void run() noexcept override {
    if (state_->running_stop != nullptr) state_->running_stop->request_stop();
    delete this;
  }
  void abandon() noexcept override { delete this; }

 private:
  std::shared_ptr<JoinStateBase> state_;
};
}  // namespace

void JoinStateBase::request_stop(const std::shared_ptr<JoinStateBase>& self) {
  auto request = std::make_unique<StopRequest>(self);
  if (mailbox->push(*request)) request.release();
}

void JoinStateBase::abandon_handle() noexcept {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    if (!done_ || failure() == nullptr) return;
  }
  log_unseen();
}

void JoinStateBase::log_unseen() const noexcept {
  const Error error = error_from(*failure());
  // Who lets go of a task wants it stopped when its Thread ends; that it did stop is no news.
  if (error.code() == std::errc::operation_canceled) return;
  log::error("a task that nobody joins failed: {}", error.what());
}

void JoinStateBase::finish() noexcept {
  Message* waiter = nullptr;
  std::shared_ptr<Mailbox> waiter_mailbox;
  bool unseen = false;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    waiter = std::exchange(waiter_, nullptr);
    waiter_mailbox = std::move(waiter_mailbox_);
    unseen = abandoned_ && failure() != nullptr;
    ended_.notify_all();
  }
  if (unseen) log_unseen();
  if (waiter != nullptr && !waiter_mailbox->push(*waiter)) {
    log::error("the thread '{}' ended while it waited for a task", waiter_mailbox->name());
  }
}

void Spawned::promise_type::run() noexcept {
  core_ = ThreadCore::current();
  promise = this;
  orphaned = [](TaskNode& node) noexcept { static_cast<promise_type&>(node).state->refuse(true); };
  core_->tasks().add(*this);
  stop_.link_to(&core_->root_stop());
  set_stop_state(&stop_);
  set_waiting_on("ready");
  state->running_stop = &stop_;
  set_task(name, spawned_at);
  // The first turn of the task is part of a message; it may end the task, and with it this.
  ThreadCore& core = *core_;
  const std::source_location where = spawned_at;
  core.begin_task(where);
  resume_inside(std::coroutine_handle<promise_type>::from_promise(*this), this);
  core.end_task(where);
}

void Spawned::promise_type::abandon() noexcept {
  const auto refused = std::move(state);
  destroy();
  refused->refuse(false);
}

void Spawned::promise_type::ended() noexcept {
  state->running_stop = nullptr;
  core_->tasks().remove(*this);
}

void launch(const Spawned& spawned, std::shared_ptr<JoinStateBase> state, std::shared_ptr<Mailbox> mailbox,
            std::string name, std::source_location where) {
  auto& promise = spawned.promise();
  state->mailbox = mailbox;
  promise.state = std::move(state);
  promise.name = std::move(name);
  promise.spawned_at = where;
  if (mailbox->push(promise.message())) return;
  promise.destroy();
  throw_thread_ended(*mailbox);
}

}  // namespace spdkio::detail
