#include <spdkio/runtime/mailbox.hpp>

#include <spdkio/base/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace spdkio::detail {
namespace {

/// Stands in `head_` after `close`: a word that no message can have.
Message* closed_mark() noexcept { return reinterpret_cast<Message*>(std::uintptr_t{1}); }

}  // namespace

Mailbox::Mailbox(ThreadId id, std::string name)
    : id_(id), name_(std::move(name)), event_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (event_fd_.get() < 0) {
    throw Error::from_errno(errno, "cannot create the wake-up descriptor of thread '" + name_ + "'")
        .with_operation("eventfd");
  }
}

// The pair push/arm must not miss each other: each writes its own word, then reads the other's, all sequentially
// consistent. Either the pusher sees `sleeping_`, or the sleeper sees the message.
bool Mailbox::push(Message& message) noexcept {
  Message* head = head_.load(std::memory_order_relaxed);
  do {
    if (head == closed_mark()) return false;
    message.next_ = head;
  } while (!head_.compare_exchange_weak(head, &message, std::memory_order_seq_cst, std::memory_order_relaxed));
  wake();
  return true;
}

void Mailbox::wake() noexcept {
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false)) signal();
}

void Mailbox::signal() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_fd_.get(), &one, sizeof one);
}

std::size_t Mailbox::drain() noexcept {
  Message* newest = head_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  std::size_t count = 0;
  while (oldest != nullptr) {
    Message* next = oldest->next_;  // the node may be gone after run()
    oldest->run();
    oldest = next;
    ++count;
  }
  return count;
}

void Mailbox::wait_exited() const noexcept {
  for (ThreadState seen = state(); seen != ThreadState::exited; seen = state()) {
    state_.wait(seen, std::memory_order_acquire);
  }
}

bool Mailbox::notify_exit(Message& message, std::shared_ptr<Mailbox> to) {
  const std::lock_guard lock(exit_mutex_);
  if (state() == ThreadState::exited) return false;
  exit_waiters_.emplace_back(&message, std::move(to));
  return true;
}

void Mailbox::close() noexcept {
  decltype(exit_waiters_) waiters;
  {
    const std::lock_guard lock(exit_mutex_);
    set_state(ThreadState::exited);
    waiters.swap(exit_waiters_);
  }
  Message* message = head_.exchange(closed_mark(), std::memory_order_acq_rel);
  while (message != nullptr && message != closed_mark()) {
    Message* next = message->next_;
    message->abandon();
    message = next;
  }
  for (auto& [waiter, to] : waiters) to->push(*waiter);
}

void Mailbox::set_state(ThreadState state) noexcept {
  state_.store(state, std::memory_order_release);
  state_.notify_all();
}

bool Mailbox::arm() noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (head_.load(std::memory_order_seq_cst) == nullptr) return true;
  disarm();
  return false;
}

void Mailbox::disarm() noexcept {
  if (sleeping_.exchange(false)) return;
  // Somebody took the flag and writes, or has written, the descriptor.
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(event_fd_.get(), &count, sizeof count);
}

}  // namespace spdkio::detail
