#include <spdkio/runtime/mailbox.hpp>

#include <spdkio/base/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
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
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false)) write_event();
}

bool Mailbox::closed() const noexcept { return head_.load(std::memory_order_relaxed) == closed_mark(); }

void Mailbox::write_event() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_fd_.get(), &one, sizeof one);
}

void Mailbox::signal() noexcept {
  if (owed_ != 0) return;  // readable, or about to be
  ++owed_;
  write_event();
}

void Mailbox::read_owed() noexcept {
  std::uint64_t count = 0;
  if (owed_ != 0 && ::read(event_fd_.get(), &count, sizeof count) == sizeof count) owed_ -= std::min(count, owed_);
}

Message* Mailbox::oldest_first(Message* newest) noexcept {
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

std::size_t Mailbox::drain() noexcept {
  Message* oldest = oldest_first(head_.exchange(nullptr, std::memory_order_acquire));
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
  Message* message = head_.exchange(closed_mark(), std::memory_order_acq_rel);
  if (message == closed_mark()) return;
  message = oldest_first(message);
  while (message != nullptr) {
    Message* next = message->next_;
    message->abandon();
    message = next;
  }
  decltype(exit_waiters_) waiters;
  {
    const std::lock_guard lock(exit_mutex_);
    state_.store(ThreadState::exited, std::memory_order_release);
    state_.notify_all();
    waiters.swap(exit_waiters_);
  }
  for (auto& [waiter, to] : waiters) to->push(*waiter);
}

void Mailbox::start_exiting() noexcept {
  auto expected = ThreadState::running;
  if (state_.compare_exchange_strong(expected, ThreadState::exiting, std::memory_order_acq_rel)) state_.notify_all();
}

bool Mailbox::arm() noexcept {
  read_owed();  // before: what is written after the flag is a wake-up
  sleeping_.store(true, std::memory_order_seq_cst);
  if (head_.load(std::memory_order_seq_cst) == nullptr) return true;
  disarm();
  return false;
}

void Mailbox::disarm() noexcept {
  if (!sleeping_.exchange(false)) ++owed_;  // somebody took the flag and writes, or has written, the descriptor
  read_owed();
}

}  // namespace spdkio::detail
