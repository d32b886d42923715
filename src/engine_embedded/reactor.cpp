#include "engine_embedded/reactor.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace spdkio::embedded {
namespace {

using std::chrono::nanoseconds;

/// How often a stop that does not get on says what it waits for.
constexpr std::chrono::seconds remainder_log_period{3};

inline void cpu_relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

/// For counters with one writer: readers see whole values, the writer pays for no locked instruction.
void add_relaxed(std::atomic<std::uint64_t>& counter, std::uint64_t amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

/// A Thread on its way to a reactor; one that never arrives ends, so that whoever waits for its end is answered.
class Arrival {
 public:
  explicit Arrival(std::shared_ptr<detail::ThreadCore> thread) noexcept : thread_(std::move(thread)) {}
  Arrival(Arrival&&) noexcept = default;
  Arrival& operator=(Arrival&&) = delete;
  ~Arrival() {
    if (thread_ != nullptr) thread_->finish();
  }
  std::shared_ptr<detail::ThreadCore> take() noexcept { return std::move(thread_); }

 private:
  std::shared_ptr<detail::ThreadCore> thread_;
};

}  // namespace

class Reactor::FunctionMessage final : public detail::Message {
 public:
  FunctionMessage(Reactor& reactor, std::move_only_function<void()> fn, bool counts_as_work)
      : reactor_(reactor), fn_(std::move(fn)), counts_as_work_(counts_as_work) {}
  void run() noexcept override {
    if (counts_as_work_) reactor_.worked_since_token_ = true;
    try {
      fn_();
    } catch (...) {
      log::error("an event on core {} threw: {}", std::to_underlying(reactor_.core_),
                 Error::from_current_exception().what());
    }
    delete this;
  }
  void abandon() noexcept override { delete this; }

 private:
  Reactor& reactor_;
  std::move_only_function<void()> fn_;
  bool counts_as_work_;
};

Reactor::Reactor(CoreId core, const IdlePolicy& policy)
    : core_(core),
      policy_(policy),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      inbox_(ThreadId{}, fmt::format("reactor_{}", std::to_underlying(core))) {
  if (epoll_fd_.get() < 0) {
    throw Error::from_errno(errno, "cannot create the wait descriptor of a reactor").with_operation("epoll_create1");
  }
  epoll_event event{.events = EPOLLIN, .data = {.fd = inbox_.event_fd()}};
  if (::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, inbox_.event_fd(), &event) != 0) {
    throw Error::from_errno(errno, "cannot watch a reactor's wake-up descriptor").with_operation("epoll_ctl");
  }
}

Reactor::~Reactor() {
  if (inbox_.state() != ThreadState::exited) inbox_.close();
}

bool Reactor::post(std::move_only_function<void()> fn, bool counts_as_work) {
  auto message = std::make_unique<FunctionMessage>(*this, std::move(fn), counts_as_work);
  if (!inbox_.push(*message)) return false;
  message.release();
  return true;
}

bool Reactor::send_event(std::move_only_function<void()> fn) { return post(std::move(fn), true); }

bool Reactor::place(std::shared_ptr<detail::ThreadCore> thread) {
  {
    const std::lock_guard lock(handles_mutex_);
    handles_.emplace_back(thread->mailbox());
  }
  const ThreadHandle handle{thread->mailbox()};
  if (post([this, arrival = Arrival{std::move(thread)}]() mutable { adopt(arrival.take()); }, true)) return true;
  forget(handle);
  return false;
}

void Reactor::forget(const ThreadHandle& handle) {
  const std::lock_guard lock(handles_mutex_);
  std::erase(handles_, handle);
}

std::size_t Reactor::thread_count() const {
  const std::lock_guard lock(handles_mutex_);
  return handles_.size();
}

engine::ReactorInfo Reactor::info() const {
  engine::ReactorInfo info{.core = core_,
                           .busy_ticks = busy_ticks_.load(std::memory_order_relaxed),
                           .idle_ticks = idle_ticks_.load(std::memory_order_relaxed),
                           .sleeping = sleeping_.load(std::memory_order_relaxed),
                           .threads = {}};
  const std::lock_guard lock(handles_mutex_);
  info.threads = handles_;
  return info;
}

// Pairs with `wait`: this writes the flag and then looks whether the reactor sleeps, `wait` does it the other way
// round.
void Reactor::request_stop() noexcept {
  stop_requested_.store(true, std::memory_order_seq_cst);
  inbox_.wake();
}

void Reactor::reconsider() {
  post([] {}, false);
}

void Reactor::ask_to_stop(const std::shared_ptr<detail::ThreadCore>& thread) {
  // As a message, because what the request wakes runs at once and must find itself on its Thread.
  [[maybe_unused]] const auto sent = ThreadHandle{thread->mailbox()}.send([thread] { thread->begin_end(); });
}

void Reactor::stop_tasks() {
  post(
      [this] {
        stopping_tasks_ = true;
        for (const auto& thread : threads_) ask_to_stop(thread);
      },
      false);
}

void Reactor::take_token(bool quiet, std::function<void(bool quiet)> pass_on) {
  post([this, quiet, pass_on = std::move(pass_on)]() mutable { token_.emplace(quiet, std::move(pass_on)); }, false);
}

void Reactor::finish() {
  post([this] { finished_ = true; }, false);
}

void Reactor::adopt(std::shared_ptr<detail::ThreadCore> thread) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = thread->wait_fd()}};
  if (::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, thread->wait_fd(), &event) != 0) {
    log::error("thread '{}' can't be waited for ({}); it ends", thread->name(), std::generic_category().message(errno));
    thread->finish();
    forget(ThreadHandle{thread->mailbox()});
    return;
  }
  if (stopping_tasks_) ask_to_stop(thread);
  threads_.push_back(std::move(thread));
}

void Reactor::remove(std::size_t index) {
  const auto thread = threads_[index];
  if (last_polled_ == thread.get()) last_polled_ = nullptr;
  ::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_DEL, thread->wait_fd(), nullptr);
  threads_.erase(threads_.begin() + static_cast<std::ptrdiff_t>(index));
  forget(ThreadHandle{thread->mailbox()});
  thread->finish();
}

// The time between two stamps belongs to what was polled at the first of them: every poll takes a stamp anyway, so that
// accounting needs no clock of its own.
void Reactor::account(std::uint64_t now) noexcept {
  const std::uint64_t elapsed = now - last_stamp_;
  last_stamp_ = now;
  if (last_polled_ != nullptr) last_polled_->account(elapsed, last_busy_);
  add_relaxed(last_busy_ ? busy_ticks_ : idle_ticks_, elapsed);
}

std::size_t Reactor::poll_threads() noexcept {
  std::size_t work = 0;
  for (std::size_t i = 0; i < threads_.size();) {
    detail::ThreadCore& thread = *threads_[i];
    const std::size_t done = thread.poll();
    account(thread.batch_ticks());
    last_polled_ = &thread;
    last_busy_ = done != 0;
    work += done;
    if (thread.mailbox()->state() == ThreadState::exiting && thread.drained()) [[unlikely]] {
      remove(i);
      ++work;
    } else {
      ++i;
    }
  }
  return work;
}

void Reactor::run() noexcept {
  detail::CoreHost::set_current_core(static_cast<std::int64_t>(core_));
  last_stamp_ = ticks();
  bool idle = false;
  std::uint64_t idle_since = 0;
  std::uint64_t last_log = 0;

  while (!finished_) {
    std::size_t work = 0;
    if (!inbox_.empty()) work += inbox_.drain();
    const std::size_t polled = poll_threads();
    work += polled;
    if (threads_.empty()) {
      last_busy_ = work != 0;
      account(ticks());
    }

    if (stop_requested_.load(std::memory_order_relaxed) && !stop_seen_) [[unlikely]] {
      stop_seen_ = true;
      if (on_stop_request_) on_stop_request_();
    }
    if (stopping_tasks_) [[unlikely]] {
      if (polled != 0) worked_since_token_ = true;
      if (token_ && drained()) {
        Token token = *std::exchange(token_, std::nullopt);
        const bool quiet = token.quiet && !std::exchange(worked_since_token_, false);
        token.pass_on(quiet);
      }
      if (last_log == 0) last_log = last_stamp_;
      if (ns_from_ticks(last_stamp_ - last_log) >= remainder_log_period) {
        last_log = last_stamp_;
        log_what_remains();
      }
    }

    if (work != 0) {
      idle = false;
      continue;
    }
    if (!idle) {
      idle = true;
      idle_since = last_stamp_;
    }
    const PollMode mode = policy_.mode.load(std::memory_order_relaxed);
    if (mode == PollMode::busy || (mode == PollMode::adaptive && last_stamp_ - idle_since < policy_.spin_ticks)) {
      cpu_relax();
      continue;
    }
    wait(stopping_tasks_ ? nanoseconds{remainder_log_period} : nanoseconds{-1});
  }

  while (!threads_.empty()) remove(threads_.size() - 1);
  inbox_.close();
  detail::CoreHost::set_current_core(-1);
}

void Reactor::wait(nanoseconds limit) noexcept {
  if (!inbox_.arm()) return;
  bool nothing_to_do = !stop_requested_.load(std::memory_order_seq_cst) || stop_seen_;
  nanoseconds duration = limit;
  for (std::size_t i = 0; nothing_to_do && i < threads_.size(); ++i) {
    nothing_to_do = threads_[i]->arm();
    const nanoseconds wait = threads_[i]->next_wait();
    if (wait >= nanoseconds{0} && (duration < nanoseconds{0} || wait < duration)) duration = wait;
  }
  if (nothing_to_do) {
    sleeping_.store(true, std::memory_order_relaxed);
    detail::sleep_on(epoll_fd_.get(), duration);
    sleeping_.store(false, std::memory_order_relaxed);
  }
  inbox_.disarm();  // the Threads disarm themselves at their next poll
}

bool Reactor::drained() const noexcept {
  return inbox_.empty() && std::ranges::all_of(threads_, [](const auto& thread) { return thread->drained(); });
}

void Reactor::log_what_remains() const {
  for (const auto& thread : threads_) {
    if (thread->drained()) continue;
    log::warn("stopping: thread '{}' still has {} open I/O channel(s) and {} task(s){}{}", thread->name(),
              thread->references(), thread->tasks().size(), thread->tasks().empty() ? "" : ": ",
              describe(thread->tasks().snapshot()));
  }
}

}  // namespace spdkio::embedded
