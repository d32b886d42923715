// The stay of a coroutine on Threads other than its home.
#pragma once

#include <spdkio/runtime/frame_cache.hpp>
#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/stop.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

namespace spdkio::detail {

/// Sends the stop requests of the home Thread after a coroutine that has moved, and makes the Thread where it is wait
/// for it before ending. A StopState belongs to one Thread, so the coroutine has its own here, which moves with it.
/// Counted references: the coroutine, and a request that is on its way.
class Visit final : private Message, private StopNode {
 public:
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept { free_frame(memory, bytes); }

  /// On `home` (null: none), before the first move; `stop` is what the coroutine obeyed so far, or null.
  Visit(ThreadCore* home, StopState* stop) noexcept;

  /// On the Thread that the coroutine leaves.
  void depart(const std::shared_ptr<Mailbox>& to) noexcept;
  /// On the Thread where it arrived.
  void arrive() noexcept;
  /// On the Thread where it ended, before it goes home.
  void leave() noexcept;
  /// On the home Thread, at the very end. The object may be gone afterwards.
  void end() noexcept;

  /// What the coroutine obeys while it is away. Belongs to the Thread where it is.
  StopState& stop() noexcept { return stop_; }
  /// Null without a home. The home Thread itself may have ended.
  const std::shared_ptr<Mailbox>& home_mailbox() const noexcept { return home_mailbox_; }
  /// On the home Thread: the coroutine's fields belong to another one.
  bool away() const noexcept { return away_; }

 private:
  ~Visit() = default;
  static void on_home_stop(StopNode& node) noexcept;
  void run() noexcept override;
  void abandon() noexcept override;
  void forward(const std::shared_ptr<Mailbox>& to) noexcept;
  void release() noexcept;

  // Fixed after construction.
  ThreadCore* const home_;
  const std::shared_ptr<Mailbox> home_mailbox_;
  // Home only.
  bool away_ = false;
  // The Thread where the coroutine is.
  StopState stop_;
  ThreadCore* host_ = nullptr;
  // Any.
  std::atomic<int> references_{1};
  std::mutex mutex_;
  std::shared_ptr<Mailbox> where_;
  bool request_on_its_way_ = false;
};

}  // namespace spdkio::detail
