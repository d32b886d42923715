#include <spdkio/runtime/thread_core.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/probe.hpp>
#include <spdkio/runtime/lcore.hpp>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>

#include "runtime/poller_node.hpp"
#include "runtime/thread_table.hpp"

namespace spdkio::detail {
namespace {

using std::chrono::nanoseconds;

/// How often pollers are called that nothing wakes, while their Thread otherwise sleeps.
constexpr nanoseconds sleepless_poll_period = std::chrono::milliseconds{1};

/// A Thread that is held again and again says so once in this time.
constexpr std::chrono::seconds stall_log_period{10};

/// Under more names than these, stalls are counted together.
constexpr std::size_t max_stall_names = 32;

std::string describe_function(const std::source_location& where) {
  return where.line() == 0 ? std::string()
                           : fmt::format("{} ({}:{})", where.function_name(), where.file_name(), where.line());
}

ThreadId next_thread_id() {
  static std::atomic<std::uint64_t> next{1};
  return ThreadId{next.fetch_add(1, std::memory_order_relaxed)};
}

timespec to_timespec(nanoseconds duration) {
  return {.tv_sec = static_cast<time_t>(duration.count() / 1'000'000'000),
          .tv_nsec = static_cast<long>(duration.count() % 1'000'000'000)};
}

}  // namespace

void refuse_to_block(const char* operation, const char* hint) {
  const ThreadCore* core = ThreadCore::current();
  if (core != nullptr && core->polling()) {
    throw Error(Misuse::would_block, "blocking here would stop thread '" + core->name() + "'")
        .with_operation(operation)
        .with_hint(hint);
  }
  if (CoreHost::current_core() >= 0) {
    throw Error(Misuse::would_block,
                "blocking here would stop the reactor of core " + std::to_string(CoreHost::current_core()))
        .with_operation(operation)
        .with_hint(hint);
  }
}

ThreadCore::ThreadCore(std::string name, CpuSet cpumask, ClockSource* clock)
    : mailbox_(std::make_shared<Mailbox>(next_thread_id(), std::move(name))),
      pulse_(mailbox_->pulse()),
      cpumask_(std::move(cpumask)),
      clock_(clock),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_fd_.get() < 0) {
    throw Error::from_errno(errno, "cannot create the wait descriptor of thread '" + this->name() + "'")
        .with_operation("epoll_create1");
  }
  watch(mailbox_->event_fd());
  batch_ticks_ = read_clock();
  ThreadTable::instance().add(mailbox_);
}

ThreadCore::~ThreadCore() {
  if (mailbox_->state() != ThreadState::exited) finish();
}

ThreadCore& ThreadCore::require_current(const char* operation) {
  if (current_ == nullptr) {
    throw Error(Misuse::wrong_thread, "this OS thread acts for no Thread")
        .with_operation(operation)
        .with_hint("call it inside a task or message, or attach a Thread first");
  }
  return *current_;
}

void ThreadCore::add_timer(TimerNode& node, nanoseconds after) {
  node.deadline_ticks = ticks_after(read_clock(), after);
  timers_.push(node);
  if (armed_) poke();
}

void ThreadCore::add_poller(std::shared_ptr<PollerNode> poller) {
  pollers_.push_back(std::move(poller));
  pollers_changed();
}

void ThreadCore::watch(int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw Error::from_errno(errno, "cannot watch descriptor " + std::to_string(fd)).with_operation("epoll_ctl");
  }
}

void ThreadCore::unwatch(int fd) noexcept { ::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

// `node` and the coroutine's frame may be gone afterwards.
inline void ThreadCore::run_task(const ReadyNode& node) noexcept {
  std::source_location where{};
  if (observable && node.scope != nullptr) where = node.scope->where();
  begin_task(where);
  inline_turns_ = inline_turns_per_resume;
  ErrorScope::set_current(node.scope);
  node.handle.resume();
  end_task(where);
}

std::size_t ThreadCore::run_ready() noexcept {
  if (ready_head_ == nullptr) return 0;
  std::size_t count = 0;
  while (ready_head_ != nullptr && count < ready_per_poll) {
    ReadyNode* node = ready_head_;
    ready_head_ = node->next_ready;
    if (ready_head_ == nullptr) ready_tail_ = &ready_head_;
    if (observable && trace_ != nullptr && trace_->wants(TraceGroup::task)) [[unlikely]] {
      run_task_traced(*node);
    } else {
      run_task(*node);
    }
    ++count;
  }
  ErrorScope::set_current(&scope_);
  resumes_ += count;
  return count;
}

void ThreadCore::run_task_traced(const ReadyNode& node) noexcept {
  const char* const name =
      node.scope != nullptr && node.scope->where().line() != 0 ? node.scope->where().function_name() : "coroutine";
  const std::uint64_t begin = read_clock();
  run_task(node);
  if (trace_ == nullptr) return;  // the task ended the trace
  trace_->record({.begin_ticks = begin,
                  .duration_ticks = read_clock() - begin,
                  .name = name,
                  .object = nullptr,
                  .group = TraceGroup::task});
}

void ThreadCore::report_slow_task(const std::source_location& where) noexcept {
  try {
    report_stall("task", describe_function(where));
  } catch (const std::bad_alloc&) {
    report_stall("task", {});
  }
}

void ThreadCore::report_stall(const char* activity, std::string_view name) noexcept {
  const std::uint64_t round = pulse_.slow_round.exchange(0, std::memory_order_relaxed);
  if (round != pulse_.rounds.load(std::memory_order_relaxed)) return;  // it ended just when it was found
  const std::uint64_t now = read_clock();
  const std::uint64_t length = now - batch_ticks_;
  try {
    std::string what = name.empty() ? std::string(activity) : fmt::format("{} '{}'", activity, name);
    auto known = std::ranges::find(stalls_, what, &StallCount::what);
    if (known == stalls_.end() && stalls_.size() >= max_stall_names) {
      what = "others";
      known = std::ranges::find(stalls_, what, &StallCount::what);
    }
    if (known == stalls_.end()) known = stalls_.insert(stalls_.end(), StallCount{.what = what});
    ++known->count;
    known->longest_ticks = std::max(known->longest_ticks, length);
    if (last_stall_log_ != 0 && ns_from_ticks(now - last_stall_log_) < stall_log_period) {
      ++unlogged_stalls_;
      return;
    }
    log::warn("thread '{}' was held for {} ms by {}{}", this->name(),
              std::chrono::duration_cast<std::chrono::milliseconds>(ns_from_ticks(length)).count(), what,
              unlogged_stalls_ == 0 ? "" : fmt::format(" ({} more since the last such line)", unlogged_stalls_));
    last_stall_log_ = now;
    unlogged_stalls_ = 0;
  } catch (const std::bad_alloc&) {
    ++unlogged_stalls_;
  }
}

void ThreadCore::start_trace(std::uint32_t groups, std::size_t capacity) {
  trace_ = groups == 0 ? nullptr : std::make_unique<TraceRing>(groups, capacity);
}

std::size_t ThreadCore::run_deferred() noexcept {
  std::size_t count = 0;
  deferred_now_ = deferred_head_;
  deferred_head_ = nullptr;
  deferred_tail_ = &deferred_head_;
  while (deferred_now_ != nullptr) {
    Deferred& work = *deferred_now_;
    deferred_now_ = work.next_deferred;
    work.queued_on = nullptr;
    count += work.run(work);
  }
  return count;
}

void Deferred::withdraw() noexcept {
  ThreadCore& core = *queued_on;
  for (Deferred** link = &core.deferred_now_; *link != nullptr; link = &(*link)->next_deferred) {
    if (*link != this) continue;
    *link = next_deferred;
    return;
  }
  for (Deferred** link = &core.deferred_head_; *link != nullptr; link = &(*link)->next_deferred) {
    if (*link != this) continue;
    *link = next_deferred;
    if (*link == nullptr) core.deferred_tail_ = link;
    return;
  }
}

std::size_t ThreadCore::run_pollers() noexcept {
  if (pollers_changed_) [[unlikely]] {
    pollers_changed_ = false;
    std::erase_if(pollers_, [](const auto& poller) { return poller->removed(); });
    active_pollers_.clear();
    sleepless_pollers_ = 0;
    for (const auto& poller : pollers_) {
      if (!poller->timed() && !poller->paused()) active_pollers_.push_back(poller.get());
      if (poller->sleepless()) ++sleepless_pollers_;
    }
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < active_pollers_.size(); ++i) count += active_pollers_[i]->call() ? 1 : 0;
  return count;
}

std::size_t ThreadCore::poll() noexcept {
  ThreadCore* const outer = current_;
  ErrorScope* const outer_scope = ErrorScope::current();
  const bool was_polling = polling_;
  current_ = this;
  ErrorScope::set_current(&scope_);
  polling_ = true;
  if (armed_) disarm();
  batch_ticks_ = read_clock();
  inline_turns_ = inline_turns_per_resume;
  const std::uint64_t round = pulse_.rounds.load(std::memory_order_relaxed);
  if (!was_polling) pulse_.rounds.store(round + 1, std::memory_order_relaxed);

  const std::size_t count = run_round();

  if (!was_polling) pulse_.rounds.store(round + 2, std::memory_order_relaxed);
  SPDKIO_PROBE(poll, this, count);
  if (observable && trace_ != nullptr && count != 0 && trace_->wants(TraceGroup::thread)) [[unlikely]] {
    trace_->record({.begin_ticks = batch_ticks_,
                    .duration_ticks = read_clock() - batch_ticks_,
                    .name = "round",
                    .object = nullptr,
                    .first = count,
                    .group = TraceGroup::thread});
  }
  polling_ = was_polling;
  current_ = outer;
  ErrorScope::set_current(outer_scope);
  if (timer_fd_.get() >= 0) rearm_foreign_wait();
  return count;
}

std::size_t ThreadCore::run_round() noexcept {
  std::size_t count = 0;
  if (yielded_head_ != nullptr) {  // their turn comes after the messages of this round
    *ready_tail_ = yielded_head_;
    ready_tail_ = yielded_tail_;
    yielded_head_ = nullptr;
    yielded_tail_ = &yielded_head_;
  }
  if (!mailbox_->empty()) {
    message_rounds_ = unused() ? message_rounds_ + 1 : 0;
    begin_activity("message");
    const std::size_t messages = mailbox_->drain();
    end_activity("message");
    messages_ += messages;
    count += messages;
  } else {
    message_rounds_ = 0;
  }
  if (!timers_.empty() && timers_.earliest() <= batch_ticks_) {
    begin_activity("timer");
    count += timers_.run_due(batch_ticks_);
    end_activity("timer");
  }
  count += run_ready();
  if (deferred_head_ != nullptr) {
    begin_activity("deferred work");
    count += run_deferred();
    end_activity("deferred work");
  }
  if (!active_pollers_.empty() || pollers_changed_) count += run_pollers();
  return count;
}

bool ThreadCore::arm() noexcept {
  disarm();
  if (ready_head_ != nullptr || yielded_head_ != nullptr || deferred_head_ != nullptr || pollers_changed_) return false;
  if (!timers_.empty() && timers_.earliest() <= read_clock()) return false;
  if (!mailbox_->arm()) return false;
  armed_ = true;
  return true;
}

void ThreadCore::disarm() noexcept {
  if (!armed_) return;
  armed_ = false;
  mailbox_->disarm();
}

// The owner gave the Thread work between two polls, while a foreign loop waits for the descriptor.
void ThreadCore::poke() noexcept {
  disarm();
  mailbox_->signal();
}

nanoseconds ThreadCore::next_wait() const noexcept {
  nanoseconds wait{-1};
  if (sleepless_pollers_ > 0) wait = sleepless_poll_period;
  if (!timers_.empty()) {
    const std::uint64_t now = read_clock();
    const std::uint64_t earliest = timers_.earliest();
    const nanoseconds until = earliest > now ? ns_from_ticks(earliest - now) + nanoseconds{1} : nanoseconds{0};
    if (wait < nanoseconds{0} || until < wait) wait = until;
  }
  return wait;
}

void ThreadCore::wait(nanoseconds limit) noexcept {
  if (!arm()) return;
  nanoseconds duration = next_wait();
  if (duration < nanoseconds{0} || (limit >= nanoseconds{0} && limit < duration)) duration = limit;
  sleep_on(epoll_fd_.get(), duration);
  disarm();
  if (timer_fd_.get() >= 0) rearm_foreign_wait();
}

void sleep_on(int epoll_fd, nanoseconds duration) noexcept {
  epoll_event events[8];
  static std::atomic<bool> have_pwait2{true};
  if (have_pwait2.load(std::memory_order_relaxed)) {
    const timespec timeout = to_timespec(std::max(duration, nanoseconds{0}));
    if (::epoll_pwait2(epoll_fd, events, 8, duration < nanoseconds{0} ? nullptr : &timeout, nullptr) >= 0 ||
        (errno != ENOSYS && errno != EPERM)) {
      return;
    }
    have_pwait2.store(false, std::memory_order_relaxed);  // an old kernel, or a sandbox that does not know the call
  }
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  ::epoll_wait(epoll_fd, events, 8,
               duration < nanoseconds{0} ? -1 : static_cast<int>(std::min<std::int64_t>(milliseconds, 60'000)));
}

void ThreadCore::enable_foreign_wait() {
  if (timer_fd_.get() >= 0) return;
  UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (fd.get() < 0) throw Error::from_errno(errno, "cannot create a timer descriptor").with_operation("timerfd_create");
  watch(fd.get());
  timer_fd_ = std::move(fd);
  rearm_foreign_wait();
}

void ThreadCore::rearm_foreign_wait() noexcept {
  if (polling_) return;
  if (!arm()) {
    mailbox_->signal();
    return;
  }
  const bool periodic = sleepless_pollers_ > 0;
  const std::uint64_t now = read_clock();
  const std::uint64_t deadline = timers_.empty() ? 0 : timers_.earliest();
  if (!periodic && deadline == timer_fd_deadline_ && (deadline == 0 || now < timer_fd_early_ticks_)) return;
  timer_fd_deadline_ = periodic ? 1 : deadline;
  timer_fd_early_ticks_ = deadline > now ? now + (deadline - now) / 2 : 0;
  itimerspec when{};
  const nanoseconds wait = next_wait();
  if (wait >= nanoseconds{0}) when.it_value = to_timespec(std::max(wait, nanoseconds{1}));
  ::timerfd_settime(timer_fd_.get(), 0, &when, nullptr);
}

void ThreadCore::account(std::uint64_t elapsed_ticks, bool busy) noexcept {
  (busy ? busy_ticks_ : idle_ticks_) += elapsed_ticks;
}

ThreadStats ThreadCore::stats() const noexcept {
  ThreadStats stats{.busy_ticks = busy_ticks_,
                    .idle_ticks = idle_ticks_,
                    .polls = (pulse_.rounds.load(std::memory_order_relaxed) + 1) / 2,
                    .tasks = tasks_.size(),
                    .resumes = resumes_,
                    .messages = messages_};
  for (const StallCount& stall : stalls_) {
    stats.stalls += stall.count;
    stats.longest_stall_ticks = std::max(stats.longest_stall_ticks, stall.longest_ticks);
  }
  for (const auto& poller : pollers_) {
    if (poller->removed()) continue;
    (poller->paused() ? stats.paused_pollers : poller->timed() ? stats.timed_pollers : stats.active_pollers) += 1;
  }
  return stats;
}

std::shared_ptr<void>& ThreadCore::local(const void* key) {
  for (auto& [known, value] : locals_) {
    if (known == key) return value;
  }
  return locals_.emplace_back(key, nullptr).second;
}

void ThreadCore::finish() noexcept {
  if (mailbox_->state() == ThreadState::exited) return;
  ThreadCore* const outer = current_;
  current_ = this;
  if (!tasks_.empty()) {
    log::error("thread '{}' ended while it still ran {} task(s): {}", name(), tasks_.size(),
               describe(tasks_.snapshot()));
  }
  if (visitors_ != 0) log::error("thread '{}' ended under {} task(s) of other threads", name(), visitors_);
  if (references_ != 0) {
    log::error("thread '{}' ended while {} I/O channel(s) of it were still open", name(), references_);
  }
  tasks_.orphan_all();
  while (!locals_.empty()) {
    const auto last = std::move(locals_.back().second);  // its destructor may ask for others
    locals_.pop_back();
  }
  for (const auto& poller : pollers_) poller->unregister();
  pollers_.clear();
  active_pollers_.clear();
  ThreadTable::instance().remove(*mailbox_);
  mailbox_->close();
  current_ = outer == this ? nullptr : outer;
}

}  // namespace spdkio::detail
